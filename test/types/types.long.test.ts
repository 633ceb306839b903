import { describe } from 'vitest'
import { testCompiler } from './programs.ts'

describe('TypeScript 5.9', () => testCompiler('TypeScript 5.9'))
