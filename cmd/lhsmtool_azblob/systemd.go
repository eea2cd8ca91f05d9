package main

import (
	"fmt"

	"lhsm-azblob/copytool"
)

// statusLine is what systemctl status shows.
func statusLine(st copytool.Status) string {
	word := "registering"
	switch {
	case st.Draining:
		word = "draining"
	case st.Serving:
		word = "serving"
	}
	return fmt.Sprintf("%s: archives %d running, %d waiting; restores %d, %d; removes %d, %d", word,
		st.Running["ARCHIVE"], st.Waiting["ARCHIVE"], st.Running["RESTORE"], st.Waiting["RESTORE"], st.Running["REMOVE"], st.Waiting["REMOVE"])
}
