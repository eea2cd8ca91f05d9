package llapi

import (
	"errors"
	"path/filepath"
	"testing"
)

func TestStateFlagsString(t *testing.T) {
	for flags, want := range map[StateFlags]string{
		0:    "",
		0x09: "exists archived",
		0x0d: "released exists archived",
		0x4b: "exists dirty archived lost_from_hsm",
		0x30: "never_release never_archive",
		0x80: "",
	} {
		if got := flags.String(); got != want {
			t.Errorf("StateFlags(%#x) = %q, want %q", uint32(flags), got, want)
		}
	}
}

func TestDecodeHSMAttr(t *testing.T) {
	got, err := DecodeHSMAttr(unhex(`00000000 09000000 0100000000000000 7800000001000000`))
	if want := (HSMAttr{HSExists | HSArchived, 1, 0x100000078}); err != nil || got != want {
		t.Errorf("DecodeHSMAttr = %+v, %v, want %+v", got, err, want)
	}
}

func TestReadHSMAttrErrors(t *testing.T) {
	if got, err := ReadHSMAttr(t.TempDir()); err != nil || got != (HSMAttr{}) {
		t.Errorf("of a file without: %+v, %v, want zero", got, err)
	}
	if _, err := ReadHSMAttr(filepath.Join(t.TempDir(), "none")); !isNotExist(err) {
		t.Errorf("of no file: %v", err)
	}
}

func FuzzDecodeHSMAttr(f *testing.F) {
	f.Add(make([]byte, 24))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := DecodeHSMAttr(b)
		checkDecoded(t, b, hsmAttrSize, a == HSMAttr{}, err)
	})
}

func FuzzDecodeState(f *testing.F) {
	f.Add(make([]byte, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeState(b)
		checkDecoded(t, b, userStateSize, s == State{}, err)
		a, err := DecodeCurrentAction(b)
		checkDecoded(t, b, currentActionSize, a == CurrentAction{}, err)
	})
}

// checkDecoded holds a decoder of fixed size to its promise: a value from
// enough bytes, else ErrTruncated and nothing.
func checkDecoded(t *testing.T, b []byte, size int, zero bool, err error) {
	t.Helper()
	switch {
	case len(b) >= size && err != nil:
		t.Errorf("%d bytes: %v", len(b), err)
	case len(b) < size && (!errors.Is(err, ErrTruncated) || !zero):
		t.Errorf("%d bytes: %v, zero value %v", len(b), err, zero)
	}
}
