/** Addresses and their networks, beside what Node says of them. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { BlockList, isIPv4, isIPv6 } from "node:net"
import { isIpv4, isIpv6, networkOf } from "../../src/internal/address.ts"

const group = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff }))
const octet = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
const near = [
  "",
  ":",
  "::",
  ":::",
  "1::",
  "::1",
  "1::2::3",
  ":1:2:3:4:5:6:7:8",
  "1:2:3:4:5:6:7:8",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7::",
  "::2:3:4:5:6:7:8",
  "1:2:3:4::5:6:7:8",
  "12345::",
  "::12345",
  "g::",
  "::g",
  "1:2:3:4:5:6:1.2.3.4",
  "1:2:3:4:5:6:7:1.2.3.4",
  "1:2:3:4:5:1.2.3.4",
  "::1.2.3.4",
  "::1.2.3",
  "::1.2.3.256",
  "::1.2.3.4:5",
  "1.2.3.4::",
  "::ffff:1.2.3.4",
  "1::1.2.3.4",
  "1.2.3.4",
  "01.2.3.4",
  "1.2.3.04",
  "1.2.3.4.5",
  "1.2.3",
  "1.2.3.",
  "255.255.255.255",
  "255.255.255.256",
  "1000.1.1.1",
  "1.2.3.4 ",
  " 1.2.3.4",
  "a.b.c.d",
  "1.2.3.4x",
  "x1.2.3.4"
]

describe("an address", () => {
  it("is one where Node says so", () => {
    for (const text of near) {
      assert.strictEqual(isIpv4(text), isIPv4(text), text)
      assert.strictEqual(isIpv6(text), isIPv6(text), text)
    }
  })

  it.prop("is one, and is not, whatever is cut out of it", {
    groups: Schema.Array(group).check(Schema.isMinLength(8), Schema.isMaxLength(8)),
    from: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 })),
    count: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8 }))
  }, ({ count, from, groups }) => {
    const whole = groups.map((value) => value.toString(16)).join(":")
    const cut = whole.slice(0, from) + whole.slice(from + count)
    const short = whole.replace(/^((?:[^:]+:){2})(?:[^:]+:){3}/, "$1:")
    for (const text of [whole, cut, short]) assert.strictEqual(isIpv6(text), isIPv6(text), text)
  }, { arbitrary: { runs: 500 } })

  it.prop("of IPv4 is kept to 24 bits, also in the form of IPv6", {
    octets: Schema.Tuple([octet, octet, octet, octet])
  }, ({ octets }) => {
    const [a, b, c] = octets
    const network = `${a}.${b}.${c}.0/24`
    assert.strictEqual(networkOf(octets.join(".")), network)
    assert.strictEqual(networkOf(`::ffff:${octets.join(".")}`), network)
    const hex = (high: number, low: number) => ((high << 8) | low).toString(16)
    assert.strictEqual(networkOf(`0:0:0:0:0:FFFF:${hex(a, b)}:${hex(c, octets[3])}`), network)
  }, { arbitrary: { runs: 200 } })

  it.prop("of IPv6 is in its network, which is of 48 bits and the same for all that share them", {
    groups: Schema.Array(group).check(Schema.isMinLength(8), Schema.isMaxLength(8))
  }, ({ groups }) => {
    const [first = 0] = groups
    if (first === 0 || first === 0x2002) return
    const text = (values: ReadonlyArray<number>) => values.map((value) => value.toString(16)).join(":")
    const network = networkOf(text(groups))
    assert.match(network, /::\/48$/)
    const list = new BlockList()
    list.addSubnet(network.slice(0, -3), 48, "ipv6")
    assert.isTrue(list.check(text(groups), "ipv6"))
    const beside = [...groups.slice(0, 3), 1, 2, 3, 4, 5]
    assert.strictEqual(networkOf(text(beside)), network)
    const elsewhere = [groups[0]!, groups[1]!, groups[2]! ^ 1, ...groups.slice(3)]
    assert.isFalse(list.check(text(elsewhere), "ipv6"))
    assert.notStrictEqual(networkOf(text(elsewhere)), network)
  }, { arbitrary: { runs: 300 } })
})
