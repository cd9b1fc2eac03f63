/** Addresses of the internet protocol, and their networks. */

/** RFC 4291, section 2.2: eight groups, one `::`, an IPv4 tail, an optional zone. */
export const isIpv6 = (text: string): boolean => {
  if (!text.includes(":")) return false
  const halves = text.split("::")
  if (halves.length > 2) return false
  const groups = (half: string, tail: boolean): number => {
    if (half === "") return 0
    let count = 0
    const parts = half.split(":")
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i]!
      if (tail && i === parts.length - 1 && part.includes(".")) {
        if (!isIpv4(part)) return -1
        count += 2
      } else if (/^[0-9A-Fa-f]{1,4}$/.test(part)) count++
      else return -1
    }
    return count
  }
  const left = groups(halves[0]!, halves.length === 1)
  if (halves.length === 1) return left === 8
  const right = groups(halves[1]!, true)
  return left >= 0 && right >= 0 && left + right <= 7
}

/** Four decimal octets without leading zeros. */
export const isIpv4 = (text: string): boolean => /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/.test(text)

/** The eight groups of an IPv6 address, as numbers. */
const groupsOf = (address: string): ReadonlyArray<number> => {
  const quad = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)
  const [a, b, c, d] = (quad ?? []).slice(1).map(Number)
  const text = a === undefined || b === undefined || c === undefined || d === undefined
    ? address
    : address.slice(0, quad?.index) + `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  const [left = [], right] = text.split("::").map((half) =>
    half === "" ? [] : half.split(":").map((group) => Number.parseInt(group, 16))
  )
  return right === undefined
    ? left
    : [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right]
}

/**
 * The network of an address: the first 24 bits of IPv4, of IPv6 the first 48, written as RFC 5952 has it. An IPv4
 * address in the form of IPv6 (`::ffff:192.0.2.1`) is one of IPv4; of 6to4 40 bits are kept.
 */
export const networkOf = (address: string): string => {
  if (isIpv4(address)) return `${address.slice(0, address.lastIndexOf("."))}.0/24`
  const groups = groupsOf(address.split("%")[0] ?? "")
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    const [high = 0, low = 0] = groups.slice(6)
    return `${high >> 8}.${high & 255}.${low >> 8}.0/24`
  }
  // 6to4 (RFC 3056): 32 bits of an IPv4 address follow, of which 24 are kept as well.
  const [first = 0, second = 0, third = 0] = groups
  const kept = [first, second, first === 0x2002 ? third & 0xff00 : third]
  while (kept.at(-1) === 0) kept.pop()
  return `${kept.map((group) => group.toString(16)).join(":")}::/${first === 0x2002 ? 40 : 48}`
}
