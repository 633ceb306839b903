import { testDeclarations } from './declarations.ts'

// The newest compiler; declarations.long.test.ts has the others.
testDeclarations([
  { compiler: 'TypeScript 7', resolution: 'bundler', dom: true },
  { compiler: 'TypeScript 7', resolution: 'nodenext', dom: false },
])
