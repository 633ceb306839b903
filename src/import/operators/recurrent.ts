import { UserError } from '../../graph/errors.ts'
import type { AnyTensor } from '../../graph/tensor.ts'
import { transpose } from '../../ops/layout.ts'
import { applyRecurrent, OPTIONAL } from '../../ops/recurrent.ts'
import { CELLS, isActivation } from '../../ops/recurrent-cells.ts'
import { directionsOf, type RecurrentOptions } from '../../ops/recurrent-unrolled.ts'
import type { NodeReader } from '../node-reader.ts'
import type { Operators } from '../operator.ts'
import { unsupported } from '../unsupported.ts'

/** The first two axes in the other order. */
const swapped = (x: AnyTensor): AnyTensor => transpose(x, [1, 0, 2])

function read(type: keyof typeof CELLS, n: NodeReader): readonly AnyTensor[] {
  const batchFirst = n.flag('layout')
  const own = batchFirst ? swapped : (x: AnyTensor) => x
  const inputs = [own(n.data(0)), n.data(1), n.data(2)]
  const given: string[] = []
  for (const [name, place] of Object.entries(OPTIONAL)) {
    // Of the other operators these are no inputs at all.
    if (type !== 'LSTM' && (name === 'initial_c' || name === 'P')) continue
    const t = n.optional(place)
    if (!t) continue
    given.push(name)
    inputs.push(name.startsWith('initial') ? own(t) : t)
  }
  const [y, ...states] = applyRecurrent(type, inputs, attributesOf(type, n, given.join()))
  if (!y) throw new Error('internal: no output')
  // No runtime has the other layout, so what runs has this one.
  return [batchFirst ? transpose(y, [2, 0, 1, 3]) : y, ...states.map(own)]
}

function attributesOf(type: keyof typeof CELLS, n: NodeReader, given: string): RecurrentOptions {
  const size = n.data(2).shape.at(-1)
  const hidden_size = n.int('hidden_size', typeof size === 'number' ? size : 0)
  if (hidden_size < 1) throw new UserError(`hidden_size is ${hidden_size}; it must be at least 1`)
  const direction = n.text('direction', ['forward', 'reverse', 'bidirectional'])
  const activations = n.attribute('activations', 'strings')
  const strange = activations?.find(name => !isActivation(name))
  if (strange !== undefined) unsupported(`activation ${strange} is not supported`)
  const wanted = directionsOf({ direction }) * CELLS[type].activations.length
  if (activations && activations.length !== wanted)
    throw new UserError(`has ${activations.length} activations; ${direction} ${type} takes ${wanted}`)
  return {
    hidden_size,
    direction,
    given,
    activations: activations?.join(),
    activation_alpha: n.attribute('activation_alpha', 'floats'),
    activation_beta: n.attribute('activation_beta', 'floats'),
    clip: n.attribute('clip', 'float'),
    ...(type === 'LSTM' && n.flag('input_forget') ? { input_forget: true } : {}),
    ...(type === 'GRU' && n.flag('linear_before_reset') ? { linear_before_reset: true } : {}),
  }
}

/** Recurrent networks. */
export const RECURRENT: Operators = {
  RNN: n => read('RNN', n),
  GRU: n => read('GRU', n),
  LSTM: n => read('LSTM', n),
}
