package testenv

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestScratchOfTheDeadIsSwept(t *testing.T) {
	parent := t.TempDir()
	dead, owner, err := newScratch(parent)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dead, "data"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	alive, living, err := newScratch(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer living.Close()
	if _, err := os.Stat(dead); err != nil {
		t.Errorf("swept while it was locked: %v", err)
	}
	owner.Close() // as its process's end does
	if _, third, err := newScratch(parent); err != nil {
		t.Fatal(err)
	} else {
		third.Close()
	}
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
	if _, err := os.Stat(alive); err != nil {
		t.Errorf("swept while it was locked: %v", err)
	}
}
