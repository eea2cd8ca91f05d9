package lhsmazblob

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "lhsm-azblob"

// mayImport is the picture in README.md as a table: which of our packages each
// of our packages may import. Where the table is silent about a package below
// testenv, it may import others below testenv and nothing of the product; where
// it speaks, that is what it may import besides.
var mayImport = map[string][]string{
	"llapi":     {},
	"blobstore": {},
	"copytool":  {"llapi", "blobstore"},
	// A job asks the coordinator, as any user would; it need not know who copies.
	"jobs":    {"llapi"},
	"httpapi": {"jobs"},
	// What the programs share of how they are configured and run.
	"cmd/internal/manual":  {},
	"cmd/internal/options": {"cmd/internal/manual"},
	"cmd/internal/service": {},
	// The command line shows what it finds; the copytool need not know that it is looked at.
	"cmd/internal/severity": {},
	"cmd/internal/doctor":   {"llapi", "blobstore", "copytool", "cmd/internal/severity"},
	"cmd/internal/bench":    {"blobstore"},
	"cmd/internal/verify":   {"llapi", "blobstore", "copytool", "jobs", "cmd/internal/severity"},
	"cmd/internal/importer": {"llapi", "blobstore", "copytool"},
	"cmd/internal/mover":    {"blobstore", "copytool", "cmd/internal/options"},
	// What is traced is copytool's; only the program knows for whom.
	"cmd/internal/otlp":   {},
	"cmd/lhsmtool_azblob": {"llapi", "blobstore", "copytool", "cmd/internal/otlp", "cmd/internal/manual", "cmd/internal/mover", "cmd/internal/options", "cmd/internal/service"},
	"cmd/lhsmctl":         {"llapi", "jobs", "blobstore", "copytool", "httpapi", "cmd/internal/doctor", "cmd/internal/bench", "cmd/internal/importer", "cmd/internal/severity", "cmd/internal/verify", "cmd/internal/manual", "cmd/internal/mover", "cmd/internal/options", "cmd/internal/service"},
	// The stand-in's lfs is a client of our own bindings, so that every test drives them.
	"testenv/cmd/lfs": {"llapi"},
	// The benchmark asks for files by the thousand, and measures blobstore and the library alone.
	"testenv/cmd/hsmbench":   {"llapi"},
	"testenv/cmd/blobloop":   {"blobstore"},
	"testenv/cmd/lustreloop": {"llapi"},
}

func allowed(pkg, imported string) bool {
	if strings.HasPrefix(pkg, "testenv") && strings.HasPrefix(imported, "testenv") {
		return true
	}
	return slices.Contains(mayImport[pkg], imported)
}

// TestImports reads the sources in this process. Asking the go command would
// let the test cache answer for files that have changed since.
func TestImports(t *testing.T) {
	documented := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (path == "build" || path == ".git" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		pkg := filepath.Dir(path)
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		documented[pkg] = documented[pkg] || file.Doc != nil
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			ours, ok := strings.CutPrefix(imported, module+"/")
			if ok && !allowed(pkg, ours) {
				t.Errorf("%s: package %s may not import %s (the table in deps_test.go says why)", path, pkg, ours)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("package %s has no package comment", pkg)
		}
	}
}
