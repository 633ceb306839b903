import { describe, expect, test } from 'vitest'
import { arrange } from '../../src/data/class-folders.ts'
import { planned } from '../../src/data/class-plan.ts'
import { splitNamed } from '../../src/data/split-names.ts'
import { UserError } from '../../src/graph/errors.ts'

/** Two pictures in each of these folders. */
const pictures = (...folders: readonly string[]): string[] =>
  folders.flatMap(folder => [`${folder}/0.png`, `${folder}/1.JPG`])

/** The classes of each split, with how many pictures they have. */
function found(files: readonly string[], folders: readonly string[] = []) {
  const { parts } = planned(arrange('DIR', files, folders), {})
  const counts = Object.entries(parts).map(([split, { pictures }]) => [
    split,
    [...pictures].map(([name, paths]) => `${name} ${paths.length}`).join(', '),
  ])
  return Object.fromEntries(counts) as Record<string, string>
}

function problem(files: readonly string[], folders: readonly string[] = []): string {
  try {
    found(files, folders)
  } catch (error) {
    expect(error).toBeInstanceOf(UserError)
    return (error as UserError).message
  }
  throw new Error('there was no error')
}

const classes = (...splits: readonly string[]): string[] =>
  splits.flatMap(split => pictures(`${split}/cat`, `${split}/dog`))

describe('the name of a split', () => {
  test.each([
    [
      'train',
      'train Train TRAIN training Training trn train_set Training-Data trainset train2017 TrainImages',
    ],
    ['val', 'val Val valid VALID validation Validation validate dev val_images valset val2017'],
    ['test', 'test Test testing Testing tst eval Evaluation test-set testing_set test1'],
  ])('%s may be spelled %s', (split, names) => {
    for (const name of names.split(' ')) expect([name, splitNamed(name)]).toEqual([name, split])
  })

  test('is not in the name of another thing', () => {
    const others = 'trains trainer steam-train contest latest tests device value invalid cat 1 data images'
    for (const name of others.split(' ')) expect([name, splitNamed(name)]).toEqual([name, undefined])
  })
})

describe('folders of pictures', () => {
  const two = 'cat 2, dog 2'

  test.each([
    [['Train', 'Test']],
    [['Training', 'Testing']],
    [['train', 'validation']],
    [['train', 'valid', 'test']],
    [['TRAIN', 'Dev', 'eval']],
    [['training_set', 'test_set']],
    [['train']],
  ])('in %s are splits', splits => {
    const expected = Object.fromEntries(splits.map(split => [splitNamed(split), two]))
    expect(found(classes(...splits))).toEqual(expected)
  })

  test('may be classes that are called like splits, where they hold pictures', () => {
    expect(found(pictures('train', 'car', 'plane'))).toEqual({ train: 'car 2, plane 2, train 2' })
    expect(found(classes('train').map(path => path.replace('cat', 'test')))).toEqual({
      train: 'dog 2, test 2',
    })
    // A class's pictures may lie deeper.
    expect(found([...pictures('car/red/old', 'plane'), 'car/x.png'])).toEqual({ train: 'car 3, plane 2' })
  })

  test.each<[what: string, files: string[], message: string | RegExp]>([
    [
      'splits and classes',
      [...classes('train', 'test'), ...pictures('bird')],
      'DIR: mixes splits (test, train) with other folders of pictures (bird); put a folder per class into each split, rename the splits if they are classes, or move the other folders away',
    ],
    [
      'a split and classes',
      [...classes('train'), ...pictures('car', 'plane')],
      /^DIR: mixes splits \(train\) with .*\(car, plane\)/,
    ],
    [
      'a split and one without classes',
      [...classes('train'), ...pictures('test')],
      /^DIR: mixes splits \(train\) with .*\(test\)/,
    ],
    [
      'a split of another name',
      classes('train', 'test', 'extra'),
      /^DIR: mixes splits \(test, train\) with .*\(extra\)/,
    ],
    [
      'one split twice',
      classes('train', 'val', 'validation'),
      'DIR: val and validation are both the val split; merge them, or move one away',
    ],
    ['one split in two cases', classes('Train', 'train'), /^DIR: Train and train are both the train split/],
    ['no split to train on', classes('val', 'Test'), 'DIR: has Test, val but no folder train'],
    ['only a test split', classes('test'), 'DIR: has test but no folder train'],
    [
      'splits without classes',
      pictures('Train', 'Test'),
      'DIR: Test, Train are splits by their names, but hold pictures without classes; put the pictures of each class into their own folder, such as Test/cat',
    ],
    [
      'a split without classes',
      pictures('training'),
      /^DIR: training is a split by its name, but holds pictures/,
    ],
    [
      'a split with pictures beside its classes',
      [...classes('train'), 'train/stray.png'],
      /^DIR\/train: holds pictures \(stray\.png\) beside folders of pictures \(cat, dog\)/,
    ],
    [
      'classes that hold splits',
      pictures('cat/train', 'cat/test', 'dog/train', 'dog/test'),
      'DIR/cat: holds splits (train, test) where a class folder is expected; put the splits at the top and a folder per class into each, such as train/cat',
    ],
    [
      'one folder too many',
      classes('archive/train', 'archive/test'),
      'DIR/archive: holds splits (train, test) where a class folder is expected; give DIR/archive',
    ],
    [
      'other classes to test on',
      [...classes('train'), ...pictures('test/cat', 'test/dog', 'test/Fox', 'test/wolf')],
      'DIR/test: has folders for unknown classes: Fox, wolf; the known classes are cat, dog',
    ],
    [
      'classes in another case',
      [...classes('train'), ...pictures('val/Cat', 'val/dog')],
      'DIR/val: has folders for unknown classes: Cat (meant to be cat?); the known classes are cat, dog',
    ],
    [
      'fewer classes to test on',
      [...classes('train'), ...pictures('train/fox', 'train/wolf', 'test/cat', 'test/dog')],
      'DIR/test: has no folder for 2 of 4 classes: fox, wolf; add their pictures, or an empty folder for a class without pictures',
    ],
    [
      'two folders of one name',
      pictures('caf\u00e9', 'cafe\u0301', 'bar'),
      /^DIR: has two folders named caf\u00e9 in different Unicode forms; merge them$/,
    ],
    ['pictures without folders', ['0.png', '1.png'], /^DIR: holds pictures of no class; give a folder/],
  ])('%s are refused', (_, files, message) => {
    expect(problem(files)).toMatch(message)
  })

  test('without pictures in a split are refused, and a class may have none to test on', () => {
    expect(problem(classes('train'), ['test', 'test/cat'])).toMatch(/^DIR\/test: has no pictures \(png/)
    const files = [...classes('train'), ...pictures('test/cat')]
    const plan = planned(arrange('DIR', files, ['test/dog']), {})
    expect(plan.notices).toEqual(['No pictures in 1 class folder of DIR/test: dog'])
  })

  test('have the same class whatever the Unicode form of its name is', () => {
    const files = [...pictures('train/caf\u00e9', 'train/bar'), ...pictures('test/cafe\u0301', 'test/bar')]
    expect(found(files)).toEqual({ train: 'bar 2, caf\u00e9 2', test: 'bar 2, caf\u00e9 2' })
    const known = planned(arrange('DIR', files), { classes: ['cafe\u0301', 'bar'] })
    expect(known.parts.train.pictures.size).toBe(2)
  })

  test('whose names differ in case only are classes, which is said', () => {
    expect(planned(arrange('DIR', pictures('cat', 'Cat')), {}).notices).toEqual([
      'These class names differ only in case: Cat and cat',
    ])
  })
})
