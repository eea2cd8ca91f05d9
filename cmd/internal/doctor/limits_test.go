package doctor

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/cmd/internal/severity"
)

// tree writes files below a new directory.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestCgroupLimit in both versions, of the group itself and of those above.
func TestCgroupLimit(t *testing.T) {
	real := cgroups
	defer func() { cgroups = real }()
	for _, tt := range []struct {
		name, proc string
		files      map[string]string
		want       int64
	}{
		{"own", "0::/a/b\n", map[string]string{"a/b/memory.max": "1048576\n", "a/memory.max": "max\n"}, 1 << 20},
		{"above", "0::/a/b\n", map[string]string{"a/b/memory.max": "2097152\n", "a/memory.max": "1048576\n"}, 1 << 20},
		{"none", "0::/a/b\n", map[string]string{"a/b/memory.max": "max\n"}, math.MaxInt64},
		{"container", "0::/\n", map[string]string{"memory.max": "4096\n"}, 4096},
		{"first version", "9:name=systemd:/x\n4:memory:/p\n0::/\n", map[string]string{"memory/p/memory.limit_in_bytes": "8192\n", "memory/memory.limit_in_bytes": "9223372036854771712\n"}, 8192},
		{"first version, none", "4:memory:/p\n", map[string]string{"memory/p/memory.limit_in_bytes": "9223372036854771712\n"}, math.MaxInt64},
		{"nonsense", "4:memory\nx\n", nil, math.MaxInt64},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cgroups = tree(t, tt.files)
			got, where := cgroupLimit(tree(t, map[string]string{"cgroup": tt.proc}), memoryLimit)
			if got != tt.want || (where == "") != (tt.want == math.MaxInt64) {
				t.Errorf("got %d (%s), want %d", got, where, tt.want)
			}
		})
	}
}

func TestReadLimit(t *testing.T) {
	dir := tree(t, map[string]string{"limits": "Limit                     Soft Limit           Hard Limit           Units     \n" +
		"Max processes             unlimited            unlimited            processes \n" +
		"Max open files            1024                 65536                files     \n"})
	if n, err := readLimit(dir, "Max open files"); n != 65536 || err != nil {
		t.Errorf("files: %d, %v", n, err)
	}
	if n, err := readLimit(dir, "Max processes"); n != math.MaxInt64 || err != nil {
		t.Errorf("processes: %d, %v", n, err)
	}
	if _, err := readLimit(dir, "Max wishes"); err == nil {
		t.Error("wishes have a limit")
	}
}

// TestLimitsOfThisProcess: a copytool that needs more than it may have is told so.
func TestLimitsOfThisProcess(t *testing.T) {
	real := cgroups
	defer func() { cgroups = real }()
	cgroups = tree(t, map[string]string{"memory.max": "134217727", "pids.max": "399", "memory/memory.limit_in_bytes": "134217727", "pids/pids.max": "399"})
	p := &process{o: Options{Pool: blobstore.PoolOptions{Memory: 64 << 20, Transfers: 96}}}
	p.o.Limits.Archives, p.o.Limits.Restores, p.o.Limits.Removes = 64, 64, 16
	if res := p.memory(t.Context()); res.level != severity.Failure {
		t.Errorf("128 MiB less one byte: %+v", res)
	}
	if res := p.threads(t.Context()); res.level != severity.Failure {
		t.Errorf("399 threads: %+v", res)
	}
	p.o.Limits.Archives = 1 << 40
	if res := p.descriptors(t.Context()); res.level != severity.Failure {
		t.Errorf("descriptors for a million millions of archives: %+v", res)
	}
}

func TestTotalMemory(t *testing.T) {
	dir := tree(t, map[string]string{"meminfo": "MemTotal:       16384 kB\nMemFree: 1 kB\n", "empty": ""})
	if n, err := totalMemory(filepath.Join(dir, "meminfo")); n != 16<<20 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	if _, err := totalMemory(filepath.Join(dir, "empty")); err == nil {
		t.Error("an empty file tells it")
	}
}

func TestServedIDs(t *testing.T) {
	got := servedIDs([]string{"uuid=a archive_id=1,3 requests=[current:1 ok:0 errors:0]", "uuid=b archive_id=ANY requests=[]", "x"})
	if len(got) != 3 || got[1] != "3" || got[2] != anyAgent {
		t.Errorf("got %q", got)
	}
}
