package store

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"time"
)

// FuzzRecord: hostile octets never panic, and what is read is written back the same.
func FuzzRecord(f *testing.F) {
	at := time.UnixMilli(1763616720123)
	f.Add(appendRecord(nil, record{at, at, [][]string{{"SET", "a", "b"}, {"DEL", "c"}}}))
	f.Add([]byte("\x05\x00\x00\x00\x00\x00\x00\x00\x01\x01\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, took, err := readRecord(bytes.NewReader(b), int64(len(b)))
		countWhole(b)
		if err != nil {
			return
		}
		again := appendRecord(nil, rec)
		back, n, err := readRecord(bytes.NewReader(again), int64(len(again)))
		if err != nil || n != int64(len(again)) || took > int64(len(b)) || len(back.commands) != len(rec.commands) {
			t.Errorf("%v: %+v became %+v", err, rec, back)
		}
	})
}

// FuzzCommand: whatever comes over the socket is read within bounds or refused.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{"*1\r\n$4\r\nPING\r\n", "*2\r\n$3\r\nGET\r\n$0\r\n\r\n", "*1048577\r\n", "*1\r\n$99999999999\r\n", "PING\r\n", "*0\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := bufio.NewReader(strings.NewReader(s))
		for {
			args, err := readCommand(r)
			if err != nil {
				return
			}
			if len(args) == 0 {
				t.Fatal("a command without a name")
			}
			absolute(args, time.UnixMilli(1000), time.UnixMilli(500))
			for _, c := range commandTable() {
				c.keysOf(args)
			}
		}
	})
}
