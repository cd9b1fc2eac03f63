/** The forms of ids and times, as contexts, drafts and stored events have them. */

/** 1 to 128 of `A-Z a-z 0-9 . _ : -`, beginning with a letter or digit. */
export const tenantIdPattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/
/** At most 32 of `a-z 0-9 _ -`, beginning with a letter. */
export const envPattern = /^[a-z][a-z0-9_-]{0,31}$/
/** 1 to 128 of `A-Z a-z 0-9 . _ : | / + = -`. */
export const idPattern = /^[A-Za-z0-9._:|/+=-]{1,128}$/
/** 1 to 128 printable ASCII characters. */
export const traceIdPattern = /^[\x21-\x7e]{1,128}$/
/** What has no e-mail address in it. */
export const noAddressPattern = /^(?!.*@[A-Za-z0-9.-]*\.[A-Za-z]{2})/
/** 1 to 128 of `A-Z a-z 0-9 . _ : | / + = @ -`, but no e-mail address. */
export const versionPattern = /^(?!.*@[A-Za-z0-9.-]*\.[A-Za-z]{2})[A-Za-z0-9._:|/+=@-]{1,128}$/
/** RFC 3339 in UTC with milliseconds. */
export const timePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
