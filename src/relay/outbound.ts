/**
 * Requests to addresses that others have named: the address is resolved here, looked at, and connected to as it was
 * looked at, so that a name cannot mean one address for the check and another for the connection.
 */
import * as Effect from "effect/Effect"
import type { LookupAddress } from "node:dns"
import { lookup } from "node:dns"
import * as http from "node:http"
import * as https from "node:https"
import { BlockList, isIP, type LookupFunction } from "node:net"
import { Unavailable } from "./Target.ts"

/**
 * Addresses that are not of the public internet (https://www.iana.org/assignments/iana-ipv4-special-registry,
 * iana-ipv6-special-registry): this machine, private networks, link-local ones with the metadata of clouds among them.
 */
const special = new BlockList()
for (
  const [network, prefix] of [
    ["0.0.0.0", 8],
    ["10.0.0.0", 8],
    ["100.64.0.0", 10],
    ["127.0.0.0", 8],
    ["169.254.0.0", 16],
    ["172.16.0.0", 12],
    ["192.0.0.0", 24],
    ["192.0.2.0", 24],
    ["192.88.99.0", 24],
    ["192.168.0.0", 16],
    ["198.18.0.0", 15],
    ["168.63.129.16", 32],
    ["198.51.100.0", 24],
    ["203.0.113.0", 24],
    ["224.0.0.0", 4],
    ["240.0.0.0", 4]
  ] as const
) special.addSubnet(network, prefix, "ipv4")
for (
  const [network, prefix] of [
    ["::", 96],
    ["::ffff:0:0:0", 96],
    ["64:ff9b::", 96],
    ["64:ff9b:1::", 48],
    ["100::", 64],
    ["100:0:0:1::", 64],
    ["2001::", 23],
    ["2001:db8::", 32],
    ["2002::", 16],
    ["3fff::", 20],
    ["5f00::", 16],
    ["fc00::", 7],
    ["fe80::", 10],
    ["fec0::", 10],
    ["ff00::", 8]
  ] as const
) special.addSubnet(network, prefix, "ipv6")

/** Whether an address is of the public internet. */
export const isPublic = (address: string): boolean => {
  const family = isIP(address)
  if (family === 0) return false
  // An IPv4 address in IPv6 (RFC 4291, section 2.5.5) is that address.
  if (family === 6 && /^(?:0*:)*:?(?:ffff:)?[\d.]+$/i.test(address) && address.includes(".")) {
    return isPublic(address.slice(address.lastIndexOf(":") + 1))
  }
  return !special.check(address, family === 6 ? "ipv6" : "ipv4")
}

class NotAllowed extends Error {}

/** Resolves a name, and refuses it if any of its addresses is not public. */
const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses: ReadonlyArray<LookupAddress>) => {
    if (error !== null) return callback(error, "", 4)
    const hidden = addresses.find(({ address }) => !isPublic(address))
    const [first] = addresses
    if (hidden !== undefined || first === undefined) {
      return callback(new NotAllowed("the address is of a private network"), "", 4)
    }
    return options.all === true ? callback(null, [...addresses]) : callback(null, first.address, first.family)
  })
}

/** What is sent. */
export interface Request {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  readonly timeoutMillis: number
  /** Whether addresses of private networks are allowed. */
  readonly allowPrivate: boolean
}

/** What comes back; of its body no more than the beginning is kept. */
export interface Response {
  readonly status: number
  readonly text: string
  readonly retryAfter: string | undefined
}

const agentsOf = () => ({
  "http:": new http.Agent({ keepAlive: true, maxSockets: 16, timeout: 60_000 }),
  "https:": new https.Agent({ keepAlive: true, maxSockets: 16, timeout: 60_000 })
})
/** A connection that was allowed to go to a private network carries nothing that may not. */
const agents = { anywhere: agentsOf(), public: agentsOf() }

/** Why a request did not get an answer, without its address, which may hold a secret. */
const reasonOf = (error: NodeJS.ErrnoException): string =>
  error instanceof NotAllowed ? error.message : `the connection failed (${error.code ?? error.name})`

/** How much of an answer is kept. */
const beginBytes = 1024

/** Posts a body; never follows a redirect. */
export const post = (
  { allowPrivate, body, headers, timeoutMillis, url }: Request
): Effect.Effect<Response, Unavailable> =>
  Effect.callback<Response, Unavailable>((resume) => {
    const fail = (detail: string) => resume(Effect.fail(new Unavailable({ detail })))
    const host = url.hostname.replace(/^\[|\]$/g, "")
    if (!allowPrivate && isIP(host) !== 0 && !isPublic(host)) {
      return fail("the address is of a private network")
    }
    const send = url.protocol === "http:" ? http.request : https.request
    const request = send(url, {
      method: "POST",
      agent: agents[allowPrivate ? "anywhere" : "public"][url.protocol === "http:" ? "http:" : "https:"],
      headers: { ...headers, "content-length": String(body.length) },
      ...allowPrivate ? {} : { lookup: publicLookup },
      signal: AbortSignal.timeout(timeoutMillis)
    }, (response) => {
      const { statusCode = 0 } = response
      const retryAfter = response.headers["retry-after"]
      const chunks: Array<Buffer> = []
      let length = 0
      // An answer counts once it is whole.
      response.on("error", (error) => fail(reasonOf(error)))
      response.on("data", (chunk: Buffer) => {
        if (length < beginBytes) chunks.push(chunk.subarray(0, beginBytes))
        length += chunk.length
      })
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString()
        resume(Effect.succeed({ status: statusCode, retryAfter, text }))
      })
    })
    request.on("error", (error) =>
      fail(
        error.name === "TimeoutError" || error.name === "AbortError"
          ? `no answer within ${timeoutMillis} ms`
          : reasonOf(error)
      ))
    // It asks for nothing else than what it sends.
    request.on("upgrade", (_, socket) => {
      socket.destroy()
      fail("it answered 101 (Switching Protocols)")
    })
    request.on("close", () => fail("the connection was closed without an answer"))
    request.end(body)
    return Effect.sync(() => request.destroy())
  })
