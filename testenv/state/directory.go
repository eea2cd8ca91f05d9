package state

import (
	"slices"
	"sort"
)

// directory holds the names in one directory. Every entry gets a number when it
// is added, and numbers only grow, so a listing can go on after any entry
// however many were added or removed in between.
type directory struct {
	byName map[string]uint64 // name to number
	list   []dirEntry        // by number; a removed entry stays with a nil child
	next   uint64            // number of the next entry
	holes  int               // entries with a nil child
}

type dirEntry struct {
	number uint64
	child  *inode
	name   string
}

// firstEntry leaves 1 and 2 to "." and "..".
const firstEntry = 3

func newDirectory() *directory {
	return &directory{byName: make(map[string]uint64), next: firstEntry}
}

func (d *directory) len() int { return len(d.byName) }

func (d *directory) index(number uint64) int {
	return sort.Search(len(d.list), func(n int) bool { return d.list[n].number >= number })
}

func (d *directory) get(name string) *inode {
	number, ok := d.byName[name]
	if !ok {
		return nil
	}
	return d.list[d.index(number)].child
}

func (d *directory) add(name string, child *inode) {
	d.byName[name] = d.next
	d.list = append(d.list, dirEntry{number: d.next, child: child, name: name})
	d.next++
}

func (d *directory) remove(name string) {
	number, ok := d.byName[name]
	if !ok {
		return
	}
	delete(d.byName, name)
	d.list[d.index(number)] = dirEntry{number: number}
	d.holes++
	if d.holes > 16 && d.holes > len(d.list)/2 {
		d.list = slices.DeleteFunc(d.list, func(e dirEntry) bool { return e.child == nil })
		d.holes = 0
	}
}

// from yields the entries from a number on.
func (d *directory) from(number uint64, yield func(dirEntry) bool) {
	for _, e := range d.list[d.index(number):] {
		if e.child != nil && !yield(e) {
			return
		}
	}
}
