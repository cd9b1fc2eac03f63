/** Lists that grow as the viewer's do: at both ends, or read anew. */
import { Schema } from "effect"
import type { Item } from "../../src/viewer/app/event.ts"

/** What is added to a list, and where. */
export const Steps = Schema.Array(
  Schema.Struct({
    end: Schema.Literals(["first", "last", "anew"]),
    count: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 }))
  })
)

/** The list after each step. */
export function* lists(steps: typeof Steps.Type, itemOf: (n: number) => Item): Generator<ReadonlyArray<Item>> {
  let next = 1
  let items: ReadonlyArray<Item> = []
  for (const { count, end } of steps) {
    const more = Array.from({ length: count }, () => itemOf(next++))
    items = end === "first" ? [...more, ...items] : end === "last" ? [...items, ...more] : more
    yield items
  }
}
