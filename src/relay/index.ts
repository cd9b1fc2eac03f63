/** From the ledger to other systems. */
export * as Relay from "./Relay.ts"
export * as RelayState from "./RelayState.ts"
export * as SqlRelayState from "./SqlRelayState.ts"
export * as Target from "./Target.ts"
export * as Webhook from "./Webhook.ts"
