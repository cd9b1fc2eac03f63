/** From the ledger to NATS JetStream. */
export * as Nats from "./Nats.ts"
