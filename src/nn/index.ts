export * from './layer.ts'
export * from './layers.ts'
export * from './model.ts'
