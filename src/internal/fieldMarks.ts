/** Which fields a schema marks, by their places in what it encodes to, and in what it is of. Pure. */
import type * as SchemaAST from "effect/SchemaAST"
import { isMark, type Mark, type Marked, type Path } from "./marks.ts"

type AST = SchemaAST.AST

/** The annotation of a schema that marks a field. */
export const annotation = "effect-audit/mark"

/** The mark of a schema: a check that is added later hides it from nobody. */
const markOf = ({ annotations, checks }: AST): Mark | undefined =>
  [annotations, ...checks?.map((check) => check.annotations) ?? []].map((one) => one?.[annotation]).findLast(isMark)

/** A mark, on which schema it is, and where that begins again if it has no end. */
interface Found extends Marked {
  readonly on: AST
  readonly again?: AST | undefined
}

const isPersonal = ({ mark }: Found): boolean => mark !== "keep"
const placeOf = ({ path }: Found): string => JSON.stringify(path)
/** What cannot be looked into is personal as a whole. */
const whole = (path: Path, on: AST): Found => ({ path, mark: "strip", on })

/** How often one schema is looked into that is named again, before what is below it is taken as a whole. */
const mostVisits = 3
/** How deep it is looked. */
const mostLevels = 64

/** Schemas of values that have no places in them, and nothing for a detector. */
const empty: ReadonlySet<AST["_tag"]> = new Set(["Null", "Undefined", "Void", "Never", "Boolean"])
/** Schemas of values that may have places in them. */
const nested: ReadonlySet<AST["_tag"]> = new Set(["Objects", "Arrays", "Union", "Declaration", "Suspend"])

/** Looks for marks: in what is encoded, or in the values themselves. */
class Search {
  private readonly visits = new Map<AST, number>()
  private readonly isEncoded: boolean
  constructor(isEncoded: boolean) {
    this.isEncoded = isEncoded
  }

  find(ast: AST, path: Path, above: ReadonlyArray<AST>): ReadonlyArray<Found> {
    const mark = markOf(ast)
    if (mark !== undefined && mark !== "keep") return [{ path, mark, on: ast }]
    const below = this.below(ast, path, above)
    // What is kept may have personal fields.
    return mark === "keep" ? [{ path, mark, on: ast }, ...below.filter(isPersonal)] : below
  }

  private below(ast: AST, path: Path, above: ReadonlyArray<AST>): ReadonlyArray<Found> {
    if (above.includes(ast) || above.length > mostLevels) return [{ ...whole(path, ast), again: ast }]
    const inside = this.within(ast, path, [...above, ast])
    const isPersonalInside = inside.some((found) => isPersonal(found) && found.again === undefined)
    // A recursion that ends here: personal where it begins again, if anything of it is.
    const own = inside.flatMap((found) =>
      found.again !== ast ? [found] : isPersonalInside ? [{ ...found, again: undefined }] : []
    )
    const to = ast.encoding?.at(-1)?.to
    if (to === undefined) {
      // What a declaration becomes as JSON is its own affair.
      return ast._tag === "Declaration" ? own.some(isPersonal) ? [whole(path, ast)] : [] : own
    }
    if (!this.isEncoded && ast._tag !== "Declaration") return own
    const encoded = this.find(to, path, [...above, ast])
    const [nodes, places] = [new Set(encoded.map(({ on }) => on)), new Set(encoded.map(placeOf))]
    const isLost = own.some((found) => isPersonal(found) && !nodes.has(found.on) && !places.has(placeOf(found)))
    return isLost ? [whole(path, ast)] : encoded
  }

  private within(ast: AST, path: Path, above: ReadonlyArray<AST>): ReadonlyArray<Found> {
    switch (ast._tag) {
      case "Objects":
        return this.inObject(ast, path, above)
      case "Arrays": {
        const { elements, rest } = ast
        const fixed = elements.flatMap((element, index) => this.find(element, [...path, String(index)], above))
        const others = rest.flatMap((element) => this.find(element, [...path, "*"], above))
        // `*` is every index: what is kept of the others is not kept of the first.
        return [...fixed, ...elements.length === 0 && rest.length === 1 ? others : others.filter(isPersonal)]
      }
      case "Union":
        return this.inUnion(ast.types, path, above)
      case "Declaration":
        return ast.typeParameters.flatMap((type) => this.find(type, path, above))
      case "Suspend":
        return this.again(ast.thunk(), path, above)
      case "TemplateLiteral":
        return ast.parts.some((part) => this.find(part, path, above).some(isPersonal)) ? [whole(path, ast)] : []
      default:
        return []
    }
  }

  private inObject(
    { indexSignatures, propertySignatures }: SchemaAST.Objects,
    path: Path,
    above: ReadonlyArray<AST>
  ): ReadonlyArray<Found> {
    const named = propertySignatures.flatMap(({ name, type }) => {
      const found = this.find(type, [...path, String(name)], above)
      return name === "*" ? found.filter(isPersonal) : found
    })
    const others = indexSignatures.flatMap(({ parameter, type }): ReadonlyArray<Found> =>
      this.find(parameter, path, above).some(isPersonal)
        // Names that are personal cannot be replaced one by one.
        ? [whole(path, parameter)]
        : this.find(type, [...path, "*"], above)
    )
    const isAlone = propertySignatures.length === 0 && indexSignatures.length === 1
    return [...named, ...isAlone ? others : others.filter(isPersonal)]
  }

  /** What is kept is kept only if each of several says so, as far as it has such a place. */
  private inUnion(types: ReadonlyArray<AST>, path: Path, above: ReadonlyArray<AST>): ReadonlyArray<Found> {
    const members = types.filter(({ _tag }) => !empty.has(_tag)).map((type) => ({
      type,
      found: this.find(type, path, above)
    }))
    return members.flatMap(({ found }) =>
      found.filter((one) =>
        isPersonal(one) || members.every((other) =>
          (one.path.length > path.length && !nested.has(other.type._tag)) ||
          other.found.some((two) => two.mark === "keep" && placeOf(two) === placeOf(one))
        )
      )
    )
  }

  private again(ast: AST, path: Path, above: ReadonlyArray<AST>): ReadonlyArray<Found> {
    const visits = (this.visits.get(ast) ?? 0) + 1
    this.visits.set(ast, visits)
    return visits > mostVisits ? [{ ...whole(path, ast), again: ast }] : this.find(ast, path, above)
  }
}

const marksIn = (ast: AST, part: string, isEncoded: boolean): ReadonlyArray<Marked> => {
  const found = new Search(isEncoded).find(ast, [part], [])
  // What was not looked into to its end is personal, if anything is.
  const isAny = found.some((one) => isPersonal(one) && one.again === undefined)
  const kept = found.filter(({ again }) => again === undefined || isAny)
  const marked = new Map(kept.map((one) => [`${one.mark} ${placeOf(one)}`, { path: one.path, mark: one.mark }]))
  return [...marked.values()]
}

/** The marks of a schema's fields, in what it encodes to, below a part of an event. */
export const marksOf = (ast: AST, part: string): ReadonlyArray<Marked> => marksIn(ast, part, true)

/** The marks of a schema's fields, in the values that it is of. */
export const typeMarksOf = (ast: AST, part: string): ReadonlyArray<Marked> => marksIn(ast, part, false)

const childrenOf = (ast: AST): ReadonlyArray<AST> => {
  switch (ast._tag) {
    case "Objects":
      return [...ast.propertySignatures, ...ast.indexSignatures].map(({ type }) => type)
    case "Arrays":
      return [...ast.elements, ...ast.rest]
    case "Union":
      return ast.types
    case "Declaration":
      return ast.typeParameters
    case "Suspend":
      return [ast.thunk()]
    default:
      return []
  }
}

/** How many schemas are looked through for names: one that is made anew each time has no end. */
const mostSchemas = 1000

/** The names of fields that a schema knows: what else stands in a place is someone's word. */
export const namesIn = (ast: AST): ReadonlySet<string> => {
  const names = new Set<string>()
  const seen = new Set<AST>([ast])
  // A set goes on with what is added to it.
  for (const one of seen) {
    if (one._tag === "Objects") one.propertySignatures.forEach(({ name }) => names.add(String(name)))
    if (seen.size < mostSchemas) {
      ;[...childrenOf(one), ...one.encoding?.map(({ to }) => to) ?? []].forEach((to) => seen.add(to))
    }
  }
  return names
}
