/** Heads that a log must extend, and which of them cannot be believed. */
import * as Result from "effect/Result"
import { stated } from "./Checkpoint.ts"
import { type Head, ownUntil } from "./extends.ts"
import type { Anchor, Fault } from "./Finding.ts"
import type { LogRef } from "./LogStore.ts"
import { openCheckpoint, type Vkeys } from "./SigningKey.ts"

/** A head that the log must have had, and where it is from. */
export interface Claim extends Head {
  readonly from: string
  readonly anchor: Anchor
}

/** Why a head is no claim. */
export interface Refusal {
  readonly fault: Fault
  readonly position: number | undefined
  readonly detail: string
}

const refuse = (detail: string, fault: Fault = "signature", position?: number) =>
  Result.fail({ fault, position, detail })

/** A claim of an origin of the log; it went on as another where the head is beyond that. */
const claimOf = (claim: Claim, until: number): Result.Result<Claim, Refusal> =>
  claim.size <= until
    ? Result.succeed(claim)
    : refuse(
      `the log went on as another at size ${until}, and ${claim.from} has ${claim.size}: entries are missing`,
      "truncated",
      until
    )

/** Reads a checkpoint as a claim; of a stored one `size` is the one that it is stored under. */
export const readClaim = (
  note: string,
  { anchor, from, size }: { readonly from: string; readonly anchor: Anchor; readonly size?: number | undefined },
  { origins }: LogRef,
  vkey: Vkeys | undefined
): Result.Result<Claim, Refusal> => {
  const read = stated(note)
  if (read._tag === "Failure") return refuse(`${from} cannot be read: ${read.failure}`)
  const said = read.success
  const until = ownUntil(origins, said.origin)
  if (until === undefined) return refuse(`${from} is of another log: ${said.origin}`)
  if (size !== undefined && said.size !== size) return refuse(`${from} says size ${said.size}`)
  const opened = vkey === undefined ? read : openCheckpoint(note, vkey)
  if (opened._tag === "Failure") return refuse(`${from} cannot be trusted: ${opened.failure}`)
  return claimOf({ size: said.size, root: said.root, from, anchor }, until)
}

/** The claim of what the signer's state has of an origin of the log. */
export const signedClaim = (head: Head, origin: string, { origins }: LogRef): Result.Result<Claim, Refusal> =>
  claimOf({ ...head, from: "the signer's state", anchor: "signer" }, ownUntil(origins, origin) ?? 0)
