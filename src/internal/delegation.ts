/** Who has delegated to whom: chains from the one who acts now outwards, as RFC 8693 nests `act`. Pure. */

/** A hop: something that acts, by its type and id. */
interface Hop<Type extends string = string> {
  readonly type: Type
  readonly id: string
}

type Acting = { readonly type: string; readonly id?: string | undefined; readonly onBehalfOf?: string | undefined }

/** The person behind an actor. */
export const personOf = ({ id, onBehalfOf, type }: Acting): string | undefined => type === "human" ? id : onBehalfOf

/** A chain of one hop says no more than the actor itself. */
const chainOf = <H extends Hop>(hops: ReadonlyArray<H>): ReadonlyArray<H> | undefined =>
  hops.length > 1 ? hops : undefined

/** The chain of one who begins to act in a context: what acts there has delegated to it. A person is no hop. */
export const onwards = <Type extends string>(
  next: Hop<Type | "agent" | "tool">,
  { actor, delegation }: { readonly actor: Acting; readonly delegation?: ReadonlyArray<Hop<Type>> | undefined }
): ReadonlyArray<Hop<Type | "agent" | "tool">> | undefined => {
  const { id, type } = actor
  if (delegation !== undefined) return chainOf([next, ...delegation])
  return (type === "agent" || type === "tool") && id !== undefined ? chainOf([next, { type, id }]) : undefined
}

/** The hops of a chain that a context takes at most, with one more, so that a longer chain is refused. */
const most = 17

/** What a claim says; a claim whose parts cannot be read is no claim. */
const partsOf = (claim: unknown): { readonly act?: unknown; readonly sub?: unknown } => {
  try {
    return { ...Object(claim) }
  } catch {
    return {}
  }
}

/**
 * The chain of an `act` claim (RFC 8693, section 4.1): the outermost acts now, what is nested acted before. An agent
 * that the claim does not name is one hop more. What is no claim is refused as a party without an id.
 */
export const claimed = (id: string, act: unknown): ReadonlyArray<Hop<"agent">> | undefined => {
  const hops: Array<Hop<"agent">> = []
  for (let claim = act; claim !== undefined && hops.length < most;) {
    const { act: next, sub } = partsOf(claim)
    hops.push({ type: "agent", id: typeof sub === "string" ? sub : "" })
    claim = next
  }
  return chainOf(hops[0]?.id === id ? hops : [{ type: "agent", id }, ...hops])
}
