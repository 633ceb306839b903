import { describe, expect, it } from 'vitest'
import { MODELS } from '../../models/index.ts'
import { RECIPES, withRecipe } from '../../src/runs/recipes.ts'

describe("a preset's recipe", () => {
  it('is of a preset that there is', () => {
    for (const [model, recipes] of Object.entries(RECIPES))
      for (const preset of Object.keys(recipes))
        expect(Object.keys(MODELS[model as keyof typeof MODELS].presets)).toContain(preset)
  })

  it('stands in for flags that are not given, and for no others', () => {
    const asked = withRecipe(RECIPES.vit!.best!, { ema: 0.5, rotate: 0 })
    expect(asked).toMatchObject({ ...RECIPES.vit!.best, ema: 0.5, rotate: 0 })
    expect(withRecipe({}, { epochs: 3 })).toEqual({ epochs: 3 })
  })

  it('keeps the learning rate of its optimizer to itself, and warms up for less of a shorter run', () => {
    const asked = withRecipe(RECIPES.vit!.best!, { optimizer: 'sgd', epochs: 2 })
    expect(asked).toMatchObject({ optimizer: 'sgd', epochs: 2, warmup: 0.2, batch: 128 })
    expect(asked).not.toHaveProperty('lr')
    expect(asked).not.toHaveProperty('weightDecay')
  })
})
