package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// A plot is lines over an axis whose points are as far apart as their logarithms.
type plot struct {
	title, xLabel, yLabel string
	ticks                 []tick // of the x axis
	series                []series
}

type tick struct {
	x    float64
	text string
}

type series struct {
	name   string
	color  string
	dashed bool
	points []point
}

type point struct{ x, y float64 }

// The picture, in pixels.
const (
	plotWidth, plotHeight = 760, 420
	plotLeft, plotRight   = 70, 200 // the legend is on the right
	plotTop, plotBottom   = 40, 50
)

// svg draws the plot. Series without points are left out.
func (p plot) svg() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="#444">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", plotWidth, plotHeight)
	text(&b, plotLeft, 22, "start", `font-size="15"`, p.title)
	x, y := p.axes()
	p.grid(&b, x, y)
	row := 0
	for _, s := range p.series {
		if len(s.points) == 0 {
			continue
		}
		s.draw(&b, x, y)
		s.legend(&b, row)
		row++
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// An axis places values between two pixels.
type axis struct {
	low, high float64 // logarithms of the values at the ends
	from, to  float64
}

func (a axis) at(v float64) float64 {
	return a.from + (math.Log10(v)-a.low)/(a.high-a.low)*(a.to-a.from)
}

// axes are as wide as the ticks, and as high as whole powers of ten.
func (p plot) axes() (x, y axis) {
	x = axis{math.Log10(p.ticks[0].x), math.Log10(p.ticks[len(p.ticks)-1].x), plotLeft, plotWidth - plotRight}
	low, high := math.Inf(1), math.Inf(-1)
	for _, s := range p.series {
		for _, pt := range s.points {
			low, high = min(low, pt.y), max(high, pt.y)
		}
	}
	if low > high { // nothing to show
		low, high = 1, 1
	}
	bottom, top := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	return x, axis{bottom, max(top, bottom+1), plotHeight - plotBottom, plotTop}
}

func (p plot) grid(b *strings.Builder, x, y axis) {
	for _, t := range p.ticks {
		line(b, x.at(t.x), plotTop, x.at(t.x), plotHeight-plotBottom)
		text(b, x.at(t.x), plotHeight-plotBottom+18, "middle", "", t.text)
	}
	for e := y.low; e <= y.high; e++ {
		v := math.Pow(10, e)
		line(b, plotLeft, y.at(v), plotWidth-plotRight, y.at(v))
		text(b, plotLeft-8, y.at(v)+4, "end", "", fmt.Sprintf("%g", v))
	}
	text(b, (plotLeft+plotWidth-plotRight)/2, plotHeight-10, "middle", "", p.xLabel)
	text(b, 16, plotHeight/2, "middle", fmt.Sprintf(`transform="rotate(-90 16 %d)"`, plotHeight/2), p.yLabel)
}

func (s series) draw(b *strings.Builder, x, y axis) {
	var path []string
	for _, pt := range s.points {
		path = append(path, fmt.Sprintf("%.1f,%.1f", x.at(pt.x), y.at(pt.y)))
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x.at(pt.x), y.at(pt.y), s.color)
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" %s/>`+"\n", strings.Join(path, " "), s.stroke())
}

func (s series) legend(b *strings.Builder, row int) {
	left, top := float64(plotWidth-plotRight+15), float64(plotTop+10+20*row)
	fmt.Fprintf(b, `<path d="M%.0f %.0fh24" %s/>`+"\n", left, top, s.stroke())
	text(b, left+30, top+4, "start", "", s.name)
}

func (s series) stroke() string {
	dash := ""
	if s.dashed {
		dash = ` stroke-dasharray="6 4"`
	}
	return fmt.Sprintf(`stroke="%s" stroke-width="2"%s`, s.color, dash)
}

func line(b *strings.Builder, x1, y1, x2, y2 float64) {
	fmt.Fprintf(b, `<path d="M%.1f %.1fL%.1f %.1f" stroke="#ddd"/>`+"\n", x1, y1, x2, y2)
}

func text(b *strings.Builder, x, y float64, anchor, more, s string) {
	if more != "" {
		more = " " + more
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>`+"\n", x, y, anchor, more, html.EscapeString(s))
}
