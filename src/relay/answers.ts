/** What an HTTP status means for a delivery. */
import { type DeliveryError, Refused, TooLarge, Unavailable } from "./Target.ts"

/** An answer, as far as it decides. */
export interface Answer {
  readonly status: number
  /** What it says, or how that begins. */
  readonly text: string
  readonly retryAfter: string | undefined
}

/** A page for people: a login, an error of a proxy. */
const isPage = (text: string): boolean =>
  /^\uFEFF?\s*(?:<\?xml[^>]{0,128}>\s*)?(?:<!--[^]{0,512}?-->\s*)?<(?:!doctype html|(?:html|head|body)[\s>])/i.test(
    text
  )

/** How long a target asks to wait (RFC 9110, section 10.2.3): seconds, or a date. */
export const retryAfterMillis = (value: string | undefined, nowMillis: number): number | undefined => {
  if (value === undefined) return undefined
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMillis)
}

/** What is of the target, or of the way to it: credentials, a bill, an address that is gone, headers. */
const ofTarget = new Set([401, 402, 403, 404, 405, 407, 408, 410, 421, 423, 425, 429, 431])

/** Whether a status says that the events are not taken, rather than that nothing is taken now. */
export const isOfEvents = (status: number): boolean => status >= 400 && status < 500 && !ofTarget.has(status)

/**
 * Why a delivery did not succeed, by the status of its answer; nothing where it did. What may be of the target or of
 * the way to it is tried again: refused credentials, an address that is gone, a redirect.
 */
export const errorOf = (
  target: string,
  { retryAfter, status, text }: Answer,
  nowMillis: number
): DeliveryError | undefined => {
  const detail = `${target} answered ${status}`
  if (status >= 200 && status < 300) {
    return isPage(text) ? new Unavailable({ detail: `${target} answered with a page for people` }) : undefined
  }
  if (status === 413) return new TooLarge({ detail })
  return isOfEvents(status)
    ? new Refused({ detail })
    : new Unavailable({ detail, retryAfterMillis: retryAfterMillis(retryAfter, nowMillis) })
}
