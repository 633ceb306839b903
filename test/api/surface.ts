import { join, relative } from 'node:path'
import ts from 'typescript-5.9'

/** The entry points of the package, by the name that users import. */
export const ENTRIES = {
  onnxgrad: 'src/index',
  'onnxgrad/models': 'models/index',
  'onnxgrad/node': 'src/node',
  'onnxgrad/testing': 'src/testing/node',
  'onnxgrad/web': 'src/web',
} as const
export type Entry = keyof typeof ENTRIES

/** A public name. */
export interface Export {
  /** Such as `linear` or `ops.relu`. */
  readonly name: string
  readonly symbol: ts.Symbol
  readonly declarations: readonly ts.Declaration[]
}

export interface Surface {
  readonly checker: ts.TypeChecker
  readonly exports: Readonly<Record<Entry, readonly Export[]>>
  /** Where a declaration stands, from the package's folder. */
  readonly fileOf: (node: ts.Node) => string
  /**
   * What the declarations of an entry point need besides ECMAScript: packages, libraries that are referred to, and typed arrays with a
   * type parameter, which only TypeScript 5.7 and newer know.
   */
  readonly foreign: (entry: Entry) => readonly string[]
}

/** What a package's declarations export. @param folder which has them, as `dist` of the package does */
export function readSurface(folder: string): Surface {
  const files = Object.values(ENTRIES).map(file => join(folder, `${file}.d.ts`))
  const program = ts.createProgram(files, {
    target: ts.ScriptTarget.ES2023,
    lib: ['lib.es2023.d.ts', 'lib.dom.d.ts'],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: [],
    strict: true,
    noEmit: true,
  })
  const checker = program.getTypeChecker()
  const fileOf = (node: ts.Node) => relative(folder, node.getSourceFile().fileName)

  const exportsOf = (module: ts.Symbol, prefix = ''): Export[] =>
    checker.getExportsOfModule(module).flatMap(given => {
      const symbol = resolved(checker, given)
      const name = prefix + given.name
      const declarations = symbol.declarations ?? []
      const namespace = declarations.some(d => ts.isSourceFile(d))
      return namespace ? exportsOf(symbol, `${name}.`) : [{ name, symbol, declarations }]
    })

  const exports = Object.fromEntries(
    Object.entries(ENTRIES).map(([entry, file]) => {
      const source = program.getSourceFile(join(folder, `${file}.d.ts`))
      const module = source && checker.getSymbolAtLocation(source)
      if (!module) throw new Error(`${entry}: has no exports`)
      return [entry, exportsOf(module).sort((a, b) => (a.name < b.name ? -1 : 1))]
    }),
  ) as unknown as Record<Entry, Export[]>
  const foreign = (entry: Entry): string[] => {
    const seen = new Set<string>()
    const found = new Set<string>()
    const visit = (path: string): void => {
      if (seen.has(path)) return
      seen.add(path)
      const text = ts.sys.readFile(path) ?? ''
      const { importedFiles, referencedFiles, typeReferenceDirectives, libReferenceDirectives } =
        ts.preProcessFile(text)
      for (const { fileName } of [...referencedFiles, ...typeReferenceDirectives]) found.add(fileName)
      for (const [name] of text.matchAll(/\b(\w+Array<ArrayBuffer\w*>|NodeJS\.\w+)/g)) found.add(name)
      // For `await using`.
      for (const { fileName } of libReferenceDirectives)
        if (fileName !== 'esnext.disposable') found.add(`lib ${fileName}`)
      for (const { fileName } of importedFiles)
        if (fileName.startsWith('.')) visit(join(path, '..', fileName.replace(/\.(ts|js)$/, '.d.ts')))
        else found.add(fileName)
    }
    visit(join(folder, `${ENTRIES[entry]}.d.ts`))
    return [...found]
  }
  return { checker, exports, fileOf, foreign }
}

const resolved = (checker: ts.TypeChecker, symbol: ts.Symbol): ts.Symbol =>
  symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol

const isPrivate = (node: ts.Node): boolean =>
  (ts.isClassElement(node) && node.name !== undefined && ts.isPrivateIdentifier(node.name)) ||
  (ts.canHaveModifiers(node) &&
    (ts.getModifiers(node) ?? []).some(m => m.kind === ts.SyntaxKind.PrivateKeyword))

/** The part of a declaration that is a signature: of a constant, its statement. */
const statementOf = (d: ts.Declaration): ts.Node =>
  ts.isVariableDeclaration(d) && ts.isVariableDeclarationList(d.parent) && d.parent.declarations.length === 1
    ? d.parent.parent
    : d

/** The names in a signature that are not the library's of TypeScript, type parameters or the declaration's own. */
export function namesIn({ checker }: Surface, { declarations }: Export): ts.Symbol[] {
  const found = new Set<ts.Symbol>()
  const visit = (node: ts.Node): void => {
    if (isPrivate(node)) return
    const name = ts.isTypeReferenceNode(node)
      ? node.typeName
      : ts.isExpressionWithTypeArguments(node)
        ? node.expression
        : ts.isTypeQueryNode(node)
          ? node.exprName
          : ts.isImportTypeNode(node)
            ? node.qualifier
            : undefined
    const symbol = name && checker.getSymbolAtLocation(name)
    if (symbol) found.add(resolved(checker, symbol))
    ts.forEachChild(node, visit)
  }
  for (const declaration of declarations) visit(declaration)
  return [...found].filter(
    symbol =>
      !(symbol.flags & ts.SymbolFlags.TypeParameter) &&
      symbol.declarations?.some(d => !/\/typescript[^/]*\/lib\/|\/@types\//.test(d.getSourceFile().fileName)),
  )
}

const printer = ts.createPrinter({ removeComments: true })

/** Signatures as text, without comments. */
export const printed = ({ declarations }: Export): string =>
  declarations
    .map(d => {
      const node = statementOf(d)
      return printer
        .printNode(ts.EmitHint.Unspecified, node, d.getSourceFile())
        .replace(/^export (declare )?/, '')
        .replaceAll(/import\("[^"]*"\)\./g, '')
    })
    .join('\n')

/** The parts of a declaration that users write or read: members of interfaces, of type literals and of classes. */
export const membersOf = ({ declarations }: Export): readonly ts.NamedDeclaration[] =>
  declarations.flatMap(d => {
    if (ts.isInterfaceDeclaration(d) || ts.isClassDeclaration(d))
      return [...d.members].filter(m => m.name && !isPrivate(m)) as ts.NamedDeclaration[]
    if (ts.isTypeAliasDeclaration(d) && ts.isTypeLiteralNode(d.type))
      return [...d.type.members].filter(m => m.name)
    return []
  })

/** Whether a comment for users stands above it. */
export function isDocumented({ checker }: Surface, symbol: ts.Symbol): boolean {
  return symbol.getDocumentationComment(checker).length > 0 || symbol.getJsDocTags(checker).length > 0
}
