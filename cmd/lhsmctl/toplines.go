package main

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"lhsm-azblob/httpapi"
)

// mostFailures is how many failures are shown where not all have room.
const mostFailures = 5

// lines are a look as text, in so many columns and rows; 0 is as many as it takes.
func (v topView) lines(columns, rows int) []string {
	lines := []string{v.title()}
	if v.Job != nil {
		lines = append(lines, progressLine(*v.Job))
	}
	lines = append(lines, "")
	lines = append(lines, v.moverLines()...)
	failures := v.failures()
	room := len(failures)
	if rows > 0 {
		room = min(room, mostFailures, max(0, rows-len(lines)-8))
	}
	foot := grid(failureTable(failures[:room]), columns, cut)
	if len(foot) > 0 {
		foot = append([]string{""}, foot...)
	}
	actions := v.actions()
	room = len(actions)
	if rows > 0 {
		room = min(room, max(1, rows-len(lines)-len(foot)-3))
	}
	lines = append(lines, "")
	lines = append(lines, grid(actionTable(actions[:room], columns), columns, cutFront)...)
	if more := len(actions) - room + v.leftOut(); more > 0 {
		lines = append(lines, fmt.Sprintf("and %s more", countText(int64(more))))
	}
	return append(lines, foot...)
}

func (v topView) title() string {
	reached, names := 0, []string{}
	for _, m := range v.Movers {
		if m.Reachable {
			reached++
			names = append(names, m.FileSystem)
		}
	}
	slices.Sort(names)
	return fmt.Sprintf("%s top  %s  %d of %d movers  %s", programName, printable(strings.Join(slices.Compact(names), " ")), reached, len(v.Movers), v.Time.Local().Format(time.TimeOnly))
}

// grid lines rows up. Only the last column may be too long for a line, and is cut.
func grid(rows [][]string, columns int, shorten func(string, int) string) (lines []string) {
	var widths []int
	for _, row := range rows {
		widths = append(widths, make([]int, max(0, len(row)-len(widths)))...)
		for i, cell := range row {
			widths[i] = max(widths[i], textWidth(cell))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		used := 0
		for i, cell := range row[:len(row)-1] {
			b.WriteString(cell + strings.Repeat(" ", widths[i]-textWidth(cell)+2))
			used += widths[i] + 2
		}
		last := row[len(row)-1]
		if columns > 0 {
			last = shorten(last, max(1, columns-used))
		}
		lines = append(lines, b.String()+last)
	}
	return lines
}

// moverName is a mover in a column.
func moverName(m httpapi.MoverActivity) string {
	if u, err := url.Parse(m.URL); err == nil && u.Host != "" {
		return printable(u.Host)
	}
	return printable(m.URL)
}

func (v topView) moverLines() (lines []string) {
	rows := [][]string{{"MOVER", "STATE", "ARCHIVE", "RESTORE", "REMOVE", "WAITING", "OLDEST", "SENT", "RECEIVED", "ENDED", "REQUESTS", "MEMORY"}}
	var away []string
	for _, m := range v.Movers {
		if !m.Reachable {
			away = append(away, fmt.Sprintf("%s is not reached: %s", moverName(m), printable(m.Error)))
			continue
		}
		rows = append(rows, moverRow(m))
	}
	if len(rows) > 1 {
		lines = grid(rows, 0, cut)
	}
	return append(lines, away...)
}

func moverRow(m httpapi.MoverActivity) []string {
	state := "not registered"
	switch {
	case m.Draining:
		state = "draining"
	case m.Serving:
		state = "serving"
	}
	running, waiting, oldest := map[string]string{}, 0, 0.0
	for _, l := range m.Lanes {
		running[l.Op] = fmt.Sprintf("%d/%d", l.Running, l.Limit)
		if l.Parked > 0 {
			running[l.Op] += fmt.Sprintf("+%d", l.Parked)
		}
		waiting += l.Waiting
		oldest = max(oldest, l.OldestSeconds)
	}
	return []string{
		moverName(m), state, running["ARCHIVE"], running["RESTORE"], running["REMOVE"], countText(int64(waiting)), secondsText(int64(oldest)),
		speedText(m.SentPerSecond), speedText(m.ReceivedPerSecond), rateText(m.EndedPerSecond) + "/s",
		fmt.Sprintf("%d/%d", m.RequestsInFlight, m.RequestsLimit), percentText(m.MemoryInUse, m.MemoryLimit),
	}
}

func speedText(perSecond float64) string { return sizeText(int64(perSecond)) + "/s" }

func percentText(part, whole int64) string {
	if whole <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(part)/float64(whole))
}

// of says which mover something is of.
type of[T any] struct {
	mover string
	it    T
}

// actions are those of all movers: first those that somebody waits for, then the oldest.
func (v topView) actions() (all []of[httpapi.RunningAction]) {
	for _, m := range v.Movers {
		for _, a := range m.Actions {
			all = append(all, of[httpapi.RunningAction]{moverName(m), a})
		}
	}
	slices.SortStableFunc(all, func(x, y of[httpapi.RunningAction]) int {
		if x.it.Urgent != y.it.Urgent {
			return map[bool]int{true: -1, false: 1}[x.it.Urgent]
		}
		return cmp.Compare(y.it.Seconds, x.it.Seconds)
	})
	return all
}

func (v topView) leftOut() (n int) {
	for _, m := range v.Movers {
		n += m.ActionsLeftOut
	}
	return n
}

func (v topView) failures() (all []of[httpapi.FailedAction]) {
	for _, m := range v.Movers {
		for _, f := range m.Failures {
			all = append(all, of[httpapi.FailedAction]{moverName(m), f})
		}
	}
	slices.SortStableFunc(all, func(x, y of[httpapi.FailedAction]) int { return y.it.Time.Compare(x.it.Time) })
	return all
}

// barRoom is the length of a progress bar: file names need room as well.
func barRoom(columns int) int {
	if columns == 0 || columns >= 120 {
		return 20
	}
	return 10
}

func actionTable(actions []of[httpapi.RunningAction], columns int) [][]string {
	rows := [][]string{{"MOVER", "ACTION", "PROGRESS", "", "SIZE", "RATE", "FOR", "FILE"}}
	for _, x := range actions {
		a := x.it
		op, size := printable(a.Op), "-"
		if a.Urgent {
			op += "!" // somebody waits
		}
		if a.Size > 0 {
			size = sizeText(a.Size)
		}
		rows = append(rows, []string{
			x.mover, op, progressText(a, barRoom(columns)), percentText(a.Bytes, a.Size), size, speedText(a.BytesPerSecond), secondsText(int64(a.Seconds)), fileText(a.Path, a.FID),
		})
	}
	return rows
}

func progressText(a httpapi.RunningAction, room int) string {
	switch a.State {
	case "parked":
		return "no room yet"
	case "ending":
		return "reporting"
	}
	return gauge(a.Bytes, a.Size, room)
}

// fileText is a file by its path, or where that is not to be had by its FID.
func fileText(path, fid string) string { return printable(cmp.Or(path, fid)) }

func failureTable(failures []of[httpapi.FailedAction]) [][]string {
	if len(failures) == 0 {
		return nil
	}
	rows := [][]string{{"TIME", "MOVER", "ACTION", "CODE", "FILE"}}
	for _, x := range failures {
		f := x.it
		file := fileText(f.Path, f.FID)
		if f.Message != "" {
			file += ": " + printable(f.Message)
		}
		rows = append(rows, []string{f.Time.Local().Format(time.TimeOnly), x.mover, printable(f.Op), printable(f.Code), file})
	}
	return rows
}
