import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import ts from 'typescript-5.9'

// Lists every text that a user can read, one a line as file:line text: `npm run messages [-- FOLDER…]`.

/** One text; each expression inside a template is shown as `{}`. */
export interface Message {
  readonly file: string
  readonly line: number
  readonly text: string
}

const root = fileURLToPath(new URL('..', import.meta.url))
const FOLDERS = ['src', 'models', 'lab', 'scripts', 'bin']

/** Functions whose text argument is shown, also when it is one word. */
const SHOWN = new Set(['UserError', 'say', 'note'])
/** Properties whose text is shown, also when it is one word. */
const LABELS = new Set(['about', 'describe', 'description', 'help', 'hint', 'label', 'title'])

/** Attributes and tags of markup whose text is code. */
const CODE = new Set(['class', 'className', 'd', 'points', 'style', 'transform', 'viewBox', 'css', 'glsl'])

const isProse = (text: string) => /\p{L}{2,}[,;:]? (\{\}|['"`(]?\p{L})|\{\} \p{L}{2,}/u.test(text)

function textOf(node: ts.Node): string | undefined {
  if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node) || ts.isJsxText(node))
    return node.text
  if (ts.isTemplateExpression(node) || ts.isTemplateLiteralTypeNode(node))
    return node.head.text + node.templateSpans.map(span => `{}${span.literal.text}`).join('')
  return undefined
}

/** The name of the function, property, attribute or tag that a text is given to. */
function receiver(node: ts.Node): string | undefined {
  const { parent } = node
  if (ts.isCallExpression(parent) || ts.isNewExpression(parent))
    return ts.isIdentifier(parent.expression) ? parent.expression.text : undefined
  if (ts.isPropertyAssignment(parent) || ts.isJsxAttribute(parent)) return parent.name.getText()
  if (ts.isTaggedTemplateExpression(parent)) return parent.tag.getText()
  if (
    ts.isConditionalExpression(parent) ||
    ts.isParenthesizedExpression(parent) ||
    ts.isJsxExpression(parent)
  )
    return receiver(parent)
  return undefined
}

function isShown(node: ts.Node, text: string): boolean {
  if (!/\p{L}/u.test(text)) return false
  if (ts.isJsxText(node)) return true
  const name = receiver(node) ?? ''
  if (CODE.has(name)) return false
  return SHOWN.has(name) || LABELS.has(name) || isProse(text)
}

/** The texts of one source file. */
export function messagesOf(file: string, source: string): Message[] {
  const found: Message[] = []
  const tree = ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true)
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return
    const text = textOf(node)?.replace(/\s+/g, ' ').trim()
    if (text !== undefined && isShown(node, text)) {
      const { line } = tree.getLineAndCharacterOfPosition(node.getStart(tree))
      found.push({ file, line: line + 1, text })
    }
    ts.forEachChild(node, visit)
  }
  visit(tree)
  return found
}

function sources(path: string): string[] {
  if (statSync(path).isFile()) return [path]
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter(name => /\.[jt]sx?$/.test(name) && !/(^|\/)(node_modules|dist)\//.test(name))
    .sort()
    .map(name => join(path, name))
}

/** The texts of files and folders, named from the top of the repository. */
export const messages = (paths: readonly string[] = FOLDERS): Message[] =>
  paths
    .flatMap(path => sources(join(root, path)))
    .flatMap(file => messagesOf(relative(root, file).replaceAll('\\', '/'), readFileSync(file, 'utf8')))

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const paths = process.argv.slice(2)
  for (const { file, line, text } of messages(paths.length ? paths : FOLDERS))
    console.log(`${file}:${line} ${text}`)
}
