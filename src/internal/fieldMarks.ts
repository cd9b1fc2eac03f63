/** Which fields a schema marks, by their places in what it encodes to. Pure. */
import type * as SchemaAST from "effect/SchemaAST"
import { isMark, type Mark, type Marked, type Path } from "./marks.ts"

/** The annotation of a schema that marks a field. */
export const annotation = "effect-audit/mark"

/** The mark of a schema: a check that is added later hides it from nobody. */
const markOf = ({ annotations, checks }: SchemaAST.AST): Mark | undefined =>
  [annotations, ...checks?.map((check) => check.annotations) ?? []].map((one) => one?.[annotation]).findLast(isMark)

/** A mark, and whether it stands for what cannot be looked into because it has no end. */
interface Found extends Marked {
  readonly isEndless: boolean
}

const personalIn = (found: ReadonlyArray<Found>): number => found.filter(({ mark }) => mark !== "keep").length

const within = (ast: SchemaAST.AST, path: Path, above: ReadonlyArray<SchemaAST.AST>): ReadonlyArray<Found> => {
  const below = (child: SchemaAST.AST, key: string) => find(child, [...path, key], [...above, ast])
  switch (ast._tag) {
    case "Objects":
      return [
        ...ast.propertySignatures.flatMap(({ name, type }) => below(type, String(name))),
        ...ast.indexSignatures.flatMap(({ type }) => below(type, "*"))
      ]
    case "Arrays":
      return [
        ...ast.elements.flatMap((element, index) => below(element, String(index))),
        ...ast.rest.flatMap((element) => below(element, "*"))
      ]
    case "Union":
      return ast.types.flatMap((type) => find(type, path, [...above, ast]))
    case "Declaration":
      return ast.typeParameters.flatMap((type) => find(type, path, [...above, ast]))
    case "Suspend":
      return find(ast.thunk(), path, [...above, ast])
    default:
      return []
  }
}

const find = (ast: SchemaAST.AST, path: Path, above: ReadonlyArray<SchemaAST.AST>): ReadonlyArray<Found> => {
  const mark = markOf(ast)
  if (mark !== undefined) return [{ path, mark, isEndless: false }]
  if (above.includes(ast)) return [{ path, mark: "strip", isEndless: true }]
  const own = within(ast, path, above)
  const to = ast.encoding?.at(-1)?.to
  if (to === undefined) return own
  const encoded = find(to, path, [...above, ast])
  // Names that change on the way, and marks that are lost on it: then the whole of it is personal.
  return personalIn(own) > personalIn(encoded) ? [{ path, mark: "strip", isEndless: false }] : encoded
}

/** The marks of a schema's fields, below a part of an event. What has no end is personal as a whole, if any is. */
export const marksOf = (ast: SchemaAST.AST, part: string): ReadonlyArray<Marked> => {
  const found = find(ast, [part], [])
  return found.every(({ isEndless }) => isEndless) ? [] : found.map(({ mark, path }) => ({ path, mark }))
}
