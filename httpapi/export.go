package httpapi

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/astra-arenas/astra"
)

// exportSFT streams rows. An error before the first byte is a problem document; one after
// it breaks the connection, so that no reader takes half an export for a whole one.
func (a *api) exportSFT(c echo.Context) error {
	if a.opts.SFT == nil {
		return fmt.Errorf("%w: this server exports nothing", astra.ErrUnsupported)
	}
	q, err := query(c)
	if err != nil {
		return err
	}
	least := 0.0
	if s := c.QueryParam("min_reward"); s != "" {
		if least, err = strconv.ParseFloat(s, 64); err != nil || !(least >= 0 && least <= 1) {
			return fmt.Errorf("%w: min_reward is a number from 0 to 1", errMalformed)
		}
	}
	w := c.Response()
	w.Header().Set("Content-Type", jsonLines)
	err = a.opts.SFT(c.Request().Context(), w, q, least)
	switch {
	case err == nil && !w.Committed:
		w.WriteHeader(http.StatusOK) // nothing was selected
	case err != nil && w.Committed:
		a.opts.Logger.ErrorContext(c.Request().Context(), "export broken off", "reason", err)
		panic(http.ErrAbortHandler)
	}
	return err
}
