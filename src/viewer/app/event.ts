/** Events as the API gives them. */

export interface Event {
  readonly [name: string]: unknown
  readonly event_id: string
  readonly action: string
  readonly actor_type: string
  readonly agentId: string
  readonly agent?: { readonly version?: string; readonly model?: string }
  readonly user_id?: string
  readonly outcome: string
  readonly error_tag?: string
  readonly severity: string
  readonly resource?: { readonly type: string; readonly id: string }
  readonly change?: { readonly before?: unknown; readonly after?: unknown }
  readonly pii_flags: { readonly flags: ReadonlyArray<string> }
  readonly train_ok: boolean
  readonly train_reason: string
  readonly recorded_at: string
  readonly request_id: string
  readonly trace_id: string
  readonly run_id?: string
  readonly step_id?: string
  readonly operation_id?: string
  readonly phase?: string
  readonly metadata?: { readonly [name: string]: unknown }
}

export type Item =
  | { readonly erased: true; readonly position: number; readonly eventId: string }
  | { readonly erased: false; readonly position: number; readonly eventId: string; readonly event: Event }
