package checks

import "slices"

// All are the checks, in the order in which they make most sense to who reads
// the results. The first one tells whether there is a copytool at all.
var All = slices.Concat(states, contents, identities, conflicts, races, users, controlled)
