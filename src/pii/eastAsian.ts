/**
 * Street addresses of Japan, China, Taiwan and Korea, where words are not separated: what follows the number says that
 * it is one of a block or a house, and what stands before it is a town's or a street's name.
 */
import type { Span } from "./span.ts"

/** Japan (act on residential addresses, 1962): blocks and numbers, `6丁目4番7号`, `12番地`. */
const blocks =
  /\d{1,4}(?:丁目(?:\d{1,4}(?:(?:番地?|-)(?:\d{1,4}号?)?)?)?|番(?:地(?:の?\d{1,4})?|\d{1,4}号))(?:[ 　]?[\p{L}ー]{2,16}\d{1,4}(?:号室)?)?/uy
/** China and Taiwan: a number of a house behind a street, perhaps a floor and a room. */
const house =
  /\d{1,5}(?:之\d{1,3})?[号號](?:之\d{1,3})?(?:[ 　]?(?:\d{1,4}|[A-Za-z])(?:号?楼|號?樓|栋|幢|单元|單元|层|層|室)){0,4}/y
const street = /[路街巷弄道里村段]$/
/** Korea (act on road names, 2007): towns, a road, a number. */
const road = /(?:[가-힣]{1,8}(?:시|도|군|구|읍|면) ?){1,3}[가-힣\d]{1,12}(?:로|길|동) ?$/
const onRoad = /\d{1,4}(?:-\d{1,4})?(?:,? ?[가-힣\d]{1,8}(?:동|호|층)){0,3}/y

/** Characters of names: Chinese ones, kana, digits of lanes. */
const ofName = /(?:\p{Script=Han}|[\u3040-\u30ff]|\d){1,40}$/u
/** What ends before a name: a word for an address, a particle, a postal code. */
const notName = /^.*(?:住所|地址|[はをにへでがも是在为為寄送到])/u

const isEastern = (code: number): boolean => code > 0x2e7f && code < 0xd7b0

/** Where a name begins that ends at a place. */
const nameBefore = (text: string, start: number): number => {
  const run = ofName.exec(text.slice(Math.max(0, start - 40), start))?.[0] ?? ""
  return start - run.replace(notName, "").replace(/^\d{3,}/, "").length
}

/** An address whose number begins here. The digits end at `digits`. */
export const easternStreetAt = (text: string, start: number, digits: number): Span | undefined => {
  const before = text.charCodeAt(start - 1)
  const isBehind = isEastern(before)
  if (!isBehind && before !== 32) return undefined
  if (isBehind && isEastern(text.charCodeAt(digits))) {
    const isHouse = street.test(text.slice(start - 1, start))
    const form = isHouse ? house : blocks
    form.lastIndex = start
    const from = nameBefore(text, start)
    if (form.test(text) && start - from > 1) return { start: from, end: form.lastIndex, kind: "STREET_ADDRESS" }
  }
  const behind = text.slice(Math.max(0, start - 48), start)
  const named = before === 32 || isBehind ? road.exec(behind) : null
  onRoad.lastIndex = start
  return named !== null && onRoad.test(text)
    ? { start: start - named[0].length, end: onRoad.lastIndex, kind: "STREET_ADDRESS" }
    : undefined
}
