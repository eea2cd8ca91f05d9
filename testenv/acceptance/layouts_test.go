package acceptance

import (
	"encoding/base64"
	"syscall"
	"testing"

	"lhsm-azblob/testenv"
)

// TestLayoutThatLustreRefuses: a file comes back all the same. What the file system was
// when it was archived, it need not be at its restore.
func TestLayoutThatLustreRefuses(t *testing.T) {
	e := newEnv(t, testenv.Options{NoPassthrough: true}) // takes no data for a file without a layout
	c := e.startCopytool(e.lustre.Mount())
	content := randomBytes(100_000, 1)
	p := e.archived("f", content)
	e.identity("f", func(id map[string]any) {
		id["lov"] = base64.StdEncoding.EncodeToString([]byte("a layout of Lustre 9, which this is not"))
	})
	e.lfs("hsm_release", p)
	e.wantContent("f", content)
	c.waitLog("the file system's default serves", syscall.EINVAL.Error())
	e.wantState("f", stateArchived)
}
