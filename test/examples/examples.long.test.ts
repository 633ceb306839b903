import { EXAMPLES, QUICK, testExamples } from './expected.ts'

testExamples(Object.keys(EXAMPLES).filter(name => !QUICK.includes(name)))
