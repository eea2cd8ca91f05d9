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
	}
}
