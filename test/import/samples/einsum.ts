import { f32, type SampleInput } from '../../../src/graph/sample.ts'
import { type NodeSamples, nodeSample } from '../sample.ts'

const einsum = (equation: string, ...inputs: SampleInput[]) => nodeSample(inputs, { equation })

export const samples: NodeSamples = {
  Einsum: [
    einsum('ij->ji', f32(3, 4)),
    einsum('ij->i', f32(3, 4)),
    einsum('ij', f32(3, 4)),
    einsum('ba', f32(3, 4)),
    einsum('ij->', f32(3, 4)),
    einsum('...ii->...i', f32(2, 3, 4, 4)),
    einsum('ii', f32(4, 4)),
    einsum('iji->ij', f32(3, 4, 3)),
    einsum('i,i', f32(5), f32(5)),
    einsum('i,j->ij', f32(5), f32(3)),
    einsum('ij,jk->ik', f32(3, 4), f32(4, 5)),
    einsum('ij, kj -> ik', f32(3, 4), f32(5, 4)),
    einsum('bij,bjk->bik', f32(2, 3, 4), f32(2, 4, 5)),
    einsum('...ij,...jk->...ik', f32(2, 1, 3, 4), f32(2, 3, 4, 5)),
    einsum('...ij,jk', f32(2, 3, 3, 4), f32(4, 5)),
    einsum('bhqd,bkhd->bhqk', f32(2, 3, 4, 5), f32(2, 6, 3, 5)),
    einsum('bhwc,hkc->bhwk', f32(2, 3, 4, 5), f32(3, 6, 5)),
    einsum('abcd,bcde->ae', f32(2, 3, 4, 2), f32(3, 4, 2, 3)),
    einsum('abc,cd->ad', f32(2, 3, 4), f32(4, 5)),
    einsum('ij,ij->i', f32(3, 4), f32(3, 4)),
    einsum('ij,kl->jk', f32(3, 4), f32(2, 5)),
    einsum('bn,anm,bm->ba', f32(2, 3), f32(4, 3, 5), f32(2, 5)),
    einsum('i,ij,j->', f32(3), f32(3, 4), f32(4)),
  ],
}
