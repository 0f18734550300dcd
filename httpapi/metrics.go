package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what /metrics shows. Labels take their values from the table of routes and
// from status codes only: arenas, tasks and episodes are without number.
type metrics struct {
	show     http.Handler
	requests *prometheus.HistogramVec
	paths    map[string]string // echo's path -> the table's
}

func newMetrics(eps Episodes) *metrics {
	reg := prometheus.NewRegistry()
	m := &metrics{paths: map[string]string{}, requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "astra_http_request_duration_seconds", Help: "Time taken by requests of the control side.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9), // 0.1 ms to 6.6 s
	}, []string{"route", "method", "status"})}
	for _, r := range routes() {
		m.paths[echoPath(r.path)] = r.path
	}
	reg.MustRegister(m.requests, statsCollector{eps}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.show = promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
	return m
}

// measure is outermost, so that refused requests are counted too.
func (a *api) measure(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		if err := next(c); err != nil {
			a.fail(err, c)
		}
		path, method := a.metrics.paths[c.Path()], c.Request().Method
		if path == "" {
			path, method = "unknown", "other" // both are whatever the caller likes
		} else if method != http.MethodGet && method != http.MethodPost {
			method = "other"
		}
		status := strconv.Itoa(c.Response().Status)
		a.metrics.requests.WithLabelValues(path, method, status).Observe(time.Since(start).Seconds())
		return nil
	}
}

func (a *api) showMetrics(c echo.Context) error {
	a.metrics.show.ServeHTTP(c.Response(), c.Request())
	return nil
}

// statsCollector shows the gateway's counters as they are when asked.
type statsCollector struct{ eps Episodes }

var (
	arenasDesc  = prometheus.NewDesc("astra_arenas", "Arenas that are served.", nil, nil)
	openDesc    = prometheus.NewDesc("astra_episodes_open", "Episodes that are open.", nil, nil)
	liveDesc    = prometheus.NewDesc("astra_worlds_live", "Worlds of idle episodes that are not put away.", nil, nil)
	knownDesc   = prometheus.NewDesc("astra_episodes_in_memory", "Episodes whose record is in memory.", nil, nil)
	resumedDesc = prometheus.NewDesc("astra_worlds_resumed_total", "Worlds made again from a snapshot.", nil, nil)
	playedDesc  = prometheus.NewDesc("astra_worlds_replayed_total", "Worlds made again by playing the whole log.", nil, nil)
	openedDesc  = prometheus.NewDesc("astra_episodes_opened_total", "Episodes opened since the start.", nil, nil)
	scoredDesc  = prometheus.NewDesc("astra_episodes_scored_total", "Episodes scored since the start.", nil, nil)
	invalidDesc = prometheus.NewDesc("astra_episodes_invalid_total", "Episodes that ended invalid since the start.", nil, nil)
	callsDesc   = prometheus.NewDesc("astra_calls_total", "Tool calls since the start.", nil, nil)
	failedDesc  = prometheus.NewDesc("astra_calls_failed_total", "Tool calls that failed since the start.", nil, nil)
)

// Describe implements prometheus.Collector.
func (s statsCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{arenasDesc, openDesc, liveDesc, knownDesc, resumedDesc, playedDesc, openedDesc, scoredDesc, invalidDesc, callsDesc, failedDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s statsCollector) Collect(ch chan<- prometheus.Metric) {
	st := s.eps.Stats()
	gauge := func(d *prometheus.Desc, v int) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v))
	}
	count := func(d *prometheus.Desc, v uint64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	gauge(arenasDesc, st.Arenas)
	gauge(openDesc, st.Open)
	gauge(liveDesc, st.Live)
	gauge(knownDesc, st.Known)
	count(resumedDesc, st.Resumed)
	count(playedDesc, st.Replayed)
	count(openedDesc, st.Opened)
	count(scoredDesc, st.Scored)
	count(invalidDesc, st.Invalid)
	count(callsDesc, st.Calls)
	count(failedDesc, st.Failed)
}
