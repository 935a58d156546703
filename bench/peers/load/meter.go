package main

import (
	"encoding/json"
	"math"
	"math/bits"
	"sync"
	"time"
)

// meter counts like Meter in packages/client/src/load/meter.ts.
type meter struct {
	// succeeded is closed after the first success.
	succeeded chan struct{}
	first     sync.Once

	mutex        sync.Mutex
	began        time.Time
	operations   int
	bytes        int
	failures     int
	firstFailure string
	latencies    histogram
}

func newMeter() *meter {
	return &meter{succeeded: make(chan struct{}), began: time.Now()}
}

func (m *meter) succeed(latency time.Duration, bytes int) {
	m.mutex.Lock()
	m.operations++
	m.bytes += bytes
	m.latencies.record(latency)
	m.mutex.Unlock()
	m.first.Do(func() { close(m.succeeded) })
}

func (m *meter) fail(err error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.failures == 0 {
		m.firstFailure = err.Error()
	}
	m.failures++
}

func (m *meter) begin() {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.operations, m.bytes, m.failures, m.firstFailure = 0, 0, 0, ""
	m.latencies = histogram{}
	m.began = time.Now()
}

// report has the fields of MeterReport.
type report struct {
	ElapsedMs      float64            `json:"elapsedMs"`
	Bytes          int                `json:"bytes"`
	Operations     int                `json:"operations"`
	Failures       int                `json:"failures"`
	FirstFailure   string             `json:"firstFailure,omitempty"`
	FailuresByCode map[string]failure `json:"failuresByCode"`
	P50Us          micros             `json:"p50Us"`
	P90Us          micros             `json:"p90Us"`
	P99Us          micros             `json:"p99Us"`
	P999Us         micros             `json:"p999Us"`
	MaxUs          micros             `json:"maxUs"`
	MeanUs         micros             `json:"meanUs"`
}

type failure struct {
	Count   int    `json:"count"`
	Example string `json:"example"`
}

// end returns what happened since begin.
func (m *meter) end() report {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	byCode := map[string]failure{}
	if m.failures > 0 {
		byCode["error"] = failure{m.failures, m.firstFailure}
	}
	latencies := &m.latencies
	return report{
		ElapsedMs:      float64(time.Since(m.began)) / 1e6,
		Bytes:          m.bytes,
		Operations:     m.operations,
		Failures:       m.failures,
		FirstFailure:   m.firstFailure,
		FailuresByCode: byCode,
		P50Us:          latencies.percentile(50),
		P90Us:          latencies.percentile(90),
		P99Us:          latencies.percentile(99),
		P999Us:         latencies.percentile(99.9),
		MaxUs:          latencies.percentile(100),
		MeanUs:         latencies.mean(),
	}
}

// micros is a duration in microseconds; +Inf if nothing was measured.
type micros float64

// MarshalJSON writes 1e999 for +Inf, which JSON does not have. JavaScript reads it as Infinity.
func (us micros) MarshalJSON() ([]byte, error) {
	if math.IsInf(float64(us), 1) {
		return []byte("1e999"), nil
	}
	return json.Marshal(float64(us))
}

// Each power of two has 1,024 buckets, so that a duration keeps three significant figures.
const bucketBits = 10

type histogram struct {
	counts [(64 - bucketBits) << bucketBits]int
	count  int
	sum    time.Duration
}

func (h *histogram) record(duration time.Duration) {
	ns := uint64(max(duration, 0))
	shift := max(0, bits.Len64(ns)-bucketBits-1)
	h.counts[shift<<bucketBits+int(ns>>shift)]++
	h.count++
	h.sum += duration
}

func (h *histogram) percentile(percent float64) micros {
	if h.count == 0 {
		return micros(math.Inf(1))
	}
	rank := int(math.Ceil(float64(h.count) * percent / 100))
	bucket := -1
	for seen := 0; seen < rank; {
		bucket++
		seen += h.counts[bucket]
	}
	shift := max(0, bucket>>bucketBits-1)
	ns := (bucket - shift<<bucketBits) << shift
	return micros(float64(ns) / 1000)
}

func (h *histogram) mean() micros {
	if h.count == 0 {
		return micros(math.Inf(1))
	}
	return micros(float64(h.sum) / float64(h.count) / 1000)
}
