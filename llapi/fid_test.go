package llapi

import "testing"

func TestFIDText(t *testing.T) {
	for _, tt := range []struct {
		fid  FID
		text string
	}{
		{FID{0x200000401, 0x17, 0}, "[0x200000401:0x17:0x0]"},
		{FID{}, "[0:0x0:0x0]"},
		{FID{1<<64 - 1, 1<<32 - 1, 1<<32 - 1}, "[0xffffffffffffffff:0xffffffff:0xffffffff]"},
	} {
		if got := tt.fid.String(); got != tt.text {
			t.Errorf("%#v.String() = %q, want %q", tt.fid, got, tt.text)
		}
		if got, want := tt.fid.Bare(), tt.text[1:len(tt.text)-1]; got != want {
			t.Errorf("%#v.Bare() = %q, want %q", tt.fid, got, want)
		}
	}
}

func TestParseFID(t *testing.T) {
	want := FID{0x200000401, 0x17, 2}
	for _, s := range []string{
		"[0x200000401:0x17:0x2]", "0x200000401:0x17:0x2", " [0x200000401:0x17:0x2]\n",
		"8589935617:23:2", "0X200000401:027:02",
	} {
		if got, err := ParseFID(s); err != nil || got != want {
			t.Errorf("ParseFID(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{
		"", "[]", "[0x1:0x2:0x3", "0x1:0x2", "0x1:0x2:0x3:0x4", "0x1:0x100000000:0", "0x10000000000000000:0:0",
		"1_0:0:0", "0b1:0:0", "0x:0:0", "-1:0:0", "08:0:0", "[0x1:0x2:0x3]x",
	} {
		if got, err := ParseFID(s); err == nil {
			t.Errorf("ParseFID(%q) = %v, want an error", s, got)
		}
	}
}

func FuzzParseFID(f *testing.F) {
	f.Add("[0x200000401:0x17:0x0]")
	f.Add("8589935617:027:0")
	f.Fuzz(func(t *testing.T, s string) {
		fid, err := ParseFID(s)
		if err != nil {
			if !fid.IsZero() {
				t.Errorf("ParseFID(%q) = %v and %v", s, fid, err)
			}
			return
		}
		for _, text := range []string{fid.String(), fid.Bare()} {
			if again, err := ParseFID(text); err != nil || again != fid {
				t.Errorf("ParseFID(%q) = %v, and of its text %q: %v, %v", s, fid, text, again, err)
			}
		}
	})
}
