package lioc

import "testing"

func TestFIDText(t *testing.T) {
	for _, tt := range []struct {
		fid  FID
		want string
	}{
		{FID{0x200000401, 0x17, 0}, "[0x200000401:0x17:0x0]"},
		{FID{}, "[0:0x0:0x0]"},
	} {
		if got := tt.fid.String(); got != tt.want {
			t.Errorf("%+v prints %s, want %s", tt.fid, got, tt.want)
		}
		for _, s := range []string{tt.fid.String(), tt.fid.Bare()} {
			if got, err := ParseFID(s); err != nil || got != tt.fid {
				t.Errorf("ParseFID(%s) = %v, %v", s, got, err)
			}
		}
	}
}

func TestFIDBad(t *testing.T) {
	for _, s := range []string{"", "[]", "1:2", "[0x1:0x2:0x3", "0x1:0x2:0x3]", "x:y:z", "0x1:0x100000000:0", "0x1:0x2:0x3:0x4", "-1:2:3", "[[1:2:3]]"} {
		if f, err := ParseFID(s); err == nil {
			t.Errorf("ParseFID(%q) = %v", s, f)
		}
	}
}

func FuzzParseFID(f *testing.F) {
	f.Add("[0x200000401:0x17:0x0]")
	f.Add("0:0x0:0x0")
	f.Fuzz(func(t *testing.T, s string) {
		fid, err := ParseFID(s)
		if err != nil {
			return
		}
		if again, err := ParseFID(fid.String()); err != nil || again != fid {
			t.Errorf("ParseFID(%q) = %v, reparsed as %v, %v", s, fid, again, err)
		}
	})
}
