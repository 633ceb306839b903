import { checkPattern, matchShape } from '../graph/pattern.ts'
import { nth } from '../graph/present.ts'
import type { Shape } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import type { Bind, MatchShape } from '../graph/typed/pattern.ts'
import type { Arg } from '../graph/typed/shapes.ts'
import { declareParts, inLayer } from './parts.ts'

/**
 * A layer: a function of tensors whose parts — parameters, other layers, arrays of them — are its properties.
 * Parts are named by their path in the model (`blocks.0.attn.qkv.weight`), so a layer does not know names.
 */
export type Layer<Parts extends object, Forward extends (...args: never[]) => unknown> = Forward &
  Readonly<Parts>

/** A layer that takes a float32 tensor whose shape matches `P`; its body returns `R` for the symbols of `P`. */
export type PatternLayer<Parts extends object, P extends Shape, R> = Layer<
  Parts,
  <S extends Shape>(
    x: Arg<MatchShape<'layer', P, S>, Tensor<'float32', S>>,
  ) => Bind<R, MatchShape<'layer', P, S>>
>

type Written<P> = { -readonly [I in keyof P]: P[I] }

/**
 * Makes a layer from its parts and its forward function. A pattern names the dims of `x` that may have any size: the
 * compiler then checks the body once for all sizes, and each call against the pattern. In the body, take dims from
 * `x.shape`: those are the caller's.
 * @example
 * const mlp = layer({ fc1: linear(64, 128), fc2: linear(128, 64) }, (self, x: AnyTensor) => self.fc2(gelu(self.fc1(x))))
 * const last = layer({ fc: linear(64, 10) }, ['B', 'T', 64], (self, x) => self.fc(select(x, 1, -1))) // [B, 10]
 * @throws ShapeError when the pattern is not made of sizes and names; at a call, when the shape does not match it
 */
export function layer<Parts extends object, Args extends readonly unknown[], R>(
  parts: Parts,
  forward: (self: Parts, ...args: Args) => R,
): Layer<Parts, (...args: Args) => R>
export function layer<Parts extends object, const P extends Shape, R>(
  parts: Parts,
  pattern: P,
  forward: (self: Parts, x: Tensor<'float32', Written<P>>) => R,
): PatternLayer<Parts, Written<P>, R>
export function layer(
  parts: object,
  ...rest: readonly [Forward] | readonly [pattern: Shape, UnaryForward]
): Layer<object, (...args: AnyTensor[]) => unknown> {
  const forward = rest.length === 1 ? rest[0] : matching(...rest)
  const call = (...args: AnyTensor[]): unknown => inLayer(call, () => forward(parts, ...args))
  declareParts(call, parts)
  return withProperties(call, parts)
}

/** A function with these properties, which may also be called `name` or `length`. */
export function withProperties<F extends object, P extends object>(f: F, properties: P): F & Readonly<P> {
  for (const [key, value] of Object.entries(properties))
    Object.defineProperty(f, key, { value, enumerable: true, configurable: true })
  return f as F & Readonly<P>
}

type Forward = (self: object, ...args: AnyTensor[]) => unknown
type UnaryForward = (self: object, x: AnyTensor) => unknown

/** `forward` for shapes that match a pattern. */
function matching(pattern: Shape, forward: UnaryForward): Forward {
  checkPattern('layer', pattern)
  return (self, ...args) => {
    const x = nth(args, 0)
    matchShape('layer', pattern, x.shape)
    return forward(self, x)
  }
}

/** A layer from one tensor to another. */
export type UnaryLayer = (x: AnyTensor) => AnyTensor
