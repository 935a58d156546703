// The load generator in Go. It opens streams over HTTP CONNECT, with less CPU time than the one in Node, and
// over gRPC with the real konnectivity-client, as kube-apiserver does.
//
// The bench starts it as a child process and calls it as it calls bench/src/load/main.ts. Calls and answers
// are lines of JSON on the file descriptor in NODE_CHANNEL_FD.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
)

type call struct {
	ID       int
	Name     string
	Argument json.RawMessage
}

type answer struct {
	ID     int    `json:"id"`
	Result any    `json:"result"`
	Error  string `json:"error,omitempty"`
}

func main() {
	fd, err := strconv.Atoi(os.Getenv("NODE_CHANNEL_FD"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "fairlead-load: NODE_CHANNEL_FD is not set. Only the bench can start this program.")
		os.Exit(2)
	}
	channel := os.NewFile(uintptr(fd), "channel")
	calls, answers := json.NewDecoder(channel), json.NewEncoder(channel)
	var sending sync.Mutex
	counts := newMeter()
	for {
		var next call
		if calls.Decode(&next) != nil {
			// The bench has ended.
			return
		}
		go func() {
			result, err := serve(next, counts)
			reply := answer{ID: next.ID, Result: result}
			if err != nil {
				reply.Error = err.Error()
			}
			sending.Lock()
			defer sending.Unlock()
			answers.Encode(reply)
		}()
	}
}

func serve(next call, counts *meter) (any, error) {
	switch next.Name {
	case "start":
		var wanted order
		decoder := json.NewDecoder(bytes.NewReader(next.Argument))
		// A load that ignores a part of its order would measure something else.
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&wanted); err != nil {
			return nil, fmt.Errorf("fairlead-load: order: %w", err)
		}
		return nil, startLoad(wanted, counts)
	case "begin":
		counts.begin()
		return nil, nil
	case "end":
		return counts.end(), nil
	}
	return nil, fmt.Errorf("no such call: %s", next.Name)
}
