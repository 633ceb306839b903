import { cct, MODELS, vit } from '../../models/index.ts'
import { testLearning } from './learning.ts'

testLearning(
  ['cct', cct({ ...MODELS.cct.presets.mnist, planes: [16], dim: 32, mlp: 32 }), 0.4],
  [
    'vit with dropout that pools the mean',
    vit({ ...MODELS.vit.presets.lecture, depth: 2, dropout: 0.1, pool: 'mean' }),
    0.4,
  ],
)
