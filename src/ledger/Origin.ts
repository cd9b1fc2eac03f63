/**
 * The origin of a log: how its checkpoints name it.
 *
 * `<deployment>/log/<32 hex digits>`: it names the deployment and 128 random bits, never the tenant, so that a log's
 * checkpoints can be published.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/** Names a log in its checkpoints. */
export const Origin = Schema.String.check(
  Schema.isPattern(/^[a-z0-9.-]{1,128}\/log\/[0-9a-f]{32}$/, { expected: "an origin: <deployment>/log/<32 hex>" })
).pipe(Schema.brand("Origin"))
export type Origin = typeof Origin.Type

/** Whether a text is the origin of a log. */
export const is = Schema.is(Origin)

/** Whether a name could be taken for an origin: no key may have such a name. */
export const isLike = (name: string): boolean => /\/log\/[0-9a-f]{32}$/.test(name)

const deploymentPattern = /^[a-z0-9]([a-z0-9.-]{0,126}[a-z0-9])?$/

/** Whether a text can name a deployment: a host name of lower-case letters, digits, `.` and `-`. */
export const isDeployment = (text: string): boolean => deploymentPattern.test(text)

/** Makes the origin of a new log from 16 random bytes. */
export const make = (deployment: string, random: Uint8Array): Origin =>
  Origin.make(`${deployment}/log/${Buffer.from(random).toString("hex")}`)
