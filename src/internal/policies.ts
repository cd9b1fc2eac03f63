/** Under which policy a store is written, as the text that it keeps of it, and whose events it takes. */
import { InvalidInput } from "../AuditError.ts"
import { admits, type Written } from "../WritePolicy.ts"

/** How often the policy has changed, and its fingerprint. */
export const policyText = ({ changes, fingerprint }: Written): string => `${changes} ${fingerprint}`

/** What such a text says. */
export const readPolicy = (text: string | undefined): Written | undefined => {
  const [changes, ...fingerprint] = text?.split(" ") ?? []
  return changes === undefined ? undefined : { changes: Number(changes), fingerprint: fingerprint.join(" ") }
}

/** Where the text is kept. */
export interface PolicyRow {
  readonly read: () => string | undefined
  readonly insert: (text: string) => void
}

/** The policies whose events were taken through one connection. */
export class Policies {
  private readonly row: PolicyRow
  private readonly admitted = new Set<string>()

  constructor(row: PolicyRow) {
    this.row = row
  }

  /** Why an event of a policy is not taken, if it is not. The first event sets the policy, with its transaction. */
  refusal(fingerprint: string | undefined): InvalidInput | undefined {
    if (fingerprint === undefined || this.admitted.has(fingerprint)) return undefined
    const answer = admits(readPolicy(this.row.read()), fingerprint)
    if (answer instanceof InvalidInput) return answer
    if (answer === "sets") this.row.insert(policyText({ changes: 0, fingerprint }))
    this.admitted.add(fingerprint)
    return undefined
  }

  /** After a rollback. */
  forget(): void {
    this.admitted.clear()
  }
}
