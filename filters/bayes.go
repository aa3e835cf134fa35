package filters

import "sekimori/internal/mail"

var bayesSpec = Spec{Name: "bayes", Stages: []mail.Stage{mail.Data}}
