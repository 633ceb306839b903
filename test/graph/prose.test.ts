import { expect, test } from 'vitest'
import { messages, messagesOf } from '../../scripts/messages.ts'

/** Where every text that users read is held to {@link CLUMSY}. */
const FOLDERS = [
  ...['graph', 'ops', 'nn', 'tasks', 'optim', 'passes', 'export', 'runtime', 'data', 'testing'].map(
    name => `src/${name}`,
  ),
  ...['trainer', 'predictor', 'classifier', 'check-data', 'examples', 'api', 'state', 'work', 'save'].map(
    name => `src/train/${name}.ts`,
  ),
  ...['src/train/step', 'src/train/diagnose', 'src/node.ts', 'src/web.ts', 'models', 'lab', 'scripts', 'bin'],
]

/** Turns of phrase that a native reader stumbles over, each with an example. */
const CLUMSY: readonly (readonly [RegExp, string])[] = [
  [/\bgo(es|ne|ing)? on\b/i, 'Training can go on from here'],
  [/(?<!there )\bis no (?!longer\b)[a-z]+/i, 'x is no IDX file'],
  [/\banew\b/i, 'the file is written anew'],
  [/\b(comes?|came) of\b/i, 'what comes of it'],
  [/\bcomes? to (?!the\b)/i, 'the loss comes to 2'],
  [/\bby itself\b/i, 'of each class by itself'],
  [/\bare the most\b/i, 'it has 4 values, 3 are the most'],
  [/\bbelongs? there\b/i, 'float32 belongs there'],
  [/\b(is|are) (there|defined) (twice|already)\b(?<!defined twice)/i, 'field a is there twice'],
  [/\ba second time\b/i, 'x is defined a second time'],
  [/\bis gone\b/i, 'the GPU is gone'],
  [/\bmakes no difference\b/i, 'of which values makes no difference'],
  [/\bheld against\b/i, 'it is held against the reference'],
  [/\bstands? (at|in for)\b/i, 'the run stands at step 3'],
  [/\bis told\b/i, 'every token is told where it is'],
  [/\ball of which\b/i, 'too few examples, all of which are trained on'],
  [/\bthe one or the other\b/i, 'move the one or the other away'],
  [/\bthere no more\b/i, 'the run folder is there no more'],
  [/\bby how much\b|\bto so many\b/i, 'Turn images by up to so many degrees'],
  [/\bto have it\b/i, 'to have it, install torch'],
  [/\bthe (house|room|floor)\b/i, 'the house has rooms'],
]

test('a list of messages has what users read, and nothing else', () => {
  const source = `
    import { type A } from './not a message.ts'
    /** Not a message either. */
    throw new UserError(\`\${name}: has \${n} values\`)
    note('one')
    const key = 'internal'
    const about = { describe: 'Train', other: 'key' }
    const page = <p class="not a message" title="Help">Some text {x ? 'yes it is' : 'no'}</p>
    type Refusal<A> = \`\${A} does not fit\`
  `
  expect(messagesOf('x.tsx', source).map(({ line, text }) => `${line} ${text}`)).toEqual([
    '4 {}: has {} values',
    '5 one',
    '7 Train',
    '8 Help',
    '8 Some text',
    '8 yes it is',
    '9 {} does not fit',
  ])
})

test.each(CLUMSY)('no message has %s', (phrase, example) => {
  expect(example).toMatch(phrase)
  const clumsy = all.filter(({ text }) => phrase.test(text))
  expect(clumsy.map(({ file, line, text }) => `${file}:${line} ${text}`)).toEqual([])
})

const all = messages(FOLDERS)
