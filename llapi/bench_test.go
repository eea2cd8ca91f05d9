package llapi_test

import (
	"fmt"
	"os"
	"testing"

	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv"
)

// BenchmarkArchive is what an archive costs without its data, from the request
// to the end, with and without a progress report.
func BenchmarkArchive(b *testing.B) {
	for _, progress := range []bool{false, true} {
		b.Run(fmt.Sprintf("progress=%v", progress), func(b *testing.B) {
			lustre := testenv.StartLustre(b, testenv.Options{Params: map[string]string{"mdt.*.hsm.grace_delay": "100ms"}})
			ct, err := llapi.Register(lustre.Mount())
			if err != nil {
				b.Fatal(err)
			}
			defer ct.Close()
			path := lustre.Path("f")
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				b.Fatal(err)
			}
			fid, err := llapi.PathToFID(path)
			if err != nil {
				b.Fatal(err)
			}
			r := llapi.Request{Action: llapi.UserArchive, Items: []llapi.FID{fid}}
			b.ReportAllocs()
			for b.Loop() {
				archiveOnce(b, ct, r, progress)
				if err := llapi.SetState(path, llapi.HSDirty, 0, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func archiveOnce(b *testing.B, ct *llapi.Copytool, r llapi.Request, progress bool) {
	if err := llapi.SendRequestOnce(ct.Mount(), r); err != nil {
		b.Fatal(err)
	}
	list, err := ct.Recv(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	a, err := ct.Begin(list.Items[0], -1, 0)
	if err != nil {
		b.Fatal(err)
	}
	if progress {
		if err := ct.ReportProgress(list.Items[0], llapi.Extent{}); err != nil {
			b.Fatal(err)
		}
	}
	if err := a.End(llapi.WholeFile, 0, 0); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkGetState(b *testing.B) {
	lustre := testenv.StartLustre(b, testenv.Options{})
	path := lustre.Path("f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		b.Fatal(err)
	}
	b.Run("ioctl", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := llapi.GetState(path); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("xattr", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := llapi.ReadHSMAttr(path); err != nil {
				b.Fatal(err)
			}
		}
	})
}
