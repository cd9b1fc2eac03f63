/** Ids of resources: what is in the form of an id is kept where only chance makes it look like something else. */
import { idPattern } from "../internal/patterns.ts"
import { type Detector, scan } from "./Pii.ts"
import type { Span } from "./span.ts"

/**
 * Of ten numbers of a card's length one passes Luhn; hosts and devices have their addresses as ids; without a country's
 * code any ten digits are a telephone number.
 */
const isByChance = ({ kind, start }: Span, id: string): boolean =>
  kind === "CREDIT_CARD" || kind === "IP" || kind === "MAC" || (kind === "PHONE" && id[start] !== "+")

/** Whether an id is kept as it is: no detector of one's own, and none by a checksum, prefix or word, finds something. */
export const isKept = (id: string, detectors: ReadonlyArray<Detector> = []): boolean =>
  idPattern.test(id) && scan(id).every((span) => isByChance(span, id)) &&
  detectors.every((detector) => detector(id).length === 0)
