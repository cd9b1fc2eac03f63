/** Who has delegated to whom: chains from the one who acts now outwards, as RFC 8693 nests `act`. Pure. */
import type { Actor, Fields, PartyInput } from "../RequestContext.ts"

type Chain = ReadonlyArray<PartyInput> | undefined

/** The person behind an actor. */
export const personOf = (actor: Actor): string | undefined =>
  actor.type === "human" ? actor.id : "onBehalfOf" in actor ? actor.onBehalfOf : undefined

/** A chain of one hop says no more than the actor itself. */
const chainOf = (parties: ReadonlyArray<PartyInput>): Chain => parties.length > 1 ? parties : undefined

/** The chain of one who begins to act in a context: what acts there has delegated to it. A person is no hop. */
export const onwards = (next: PartyInput, { actor, delegation }: Pick<Fields, "actor" | "delegation">): Chain =>
  chainOf([
    next,
    ...delegation ?? (actor.type === "agent" || actor.type === "tool" ? [{ type: actor.type, id: actor.id }] : [])
  ])

/** The hops of a chain that a context takes at most, with one more, so that a longer chain is refused. */
const most = 17

/**
 * The chain of an `act` claim (RFC 8693, section 4.1): the outermost acts now, what is nested acted before. An agent
 * that the claim does not name is one hop more. What is no claim is refused as a party without an id.
 */
export const claimed = (id: string, act: unknown): Chain => {
  const parties: Array<PartyInput> = []
  for (let claim = act; claim !== undefined && parties.length < most;) {
    const { act: next, sub }: { readonly act?: unknown; readonly sub?: unknown } = { ...Object(claim) }
    parties.push({ type: "agent", id: typeof sub === "string" ? sub : "" })
    claim = next
  }
  return chainOf(parties[0]?.id === id ? parties : [{ type: "agent", id }, ...parties])
}
