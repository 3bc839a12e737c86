// Every update rule there is. Bindings, tests, benchmarks and the README's table derive from this list.
#pragma once

#include <tuple>

#include "schuss/rules/adadelta.hpp"
#include "schuss/rules/adagrad.hpp"
#include "schuss/rules/adam.hpp"
#include "schuss/rules/adamax.hpp"
#include "schuss/rules/adamw.hpp"
#include "schuss/rules/asgd.hpp"
#include "schuss/rules/delta_bar_delta.hpp"
#include "schuss/rules/momentum.hpp"
#include "schuss/rules/nadam.hpp"
#include "schuss/rules/nesterov.hpp"
#include "schuss/rules/radam.hpp"
#include "schuss/rules/rmsprop.hpp"
#include "schuss/rules/rprop.hpp"
#include "schuss/rules/sgd.hpp"

namespace schuss {

using Rules = std::tuple<Sgd,            //
                         Momentum,       //
                         Nesterov,       //
                         DeltaBarDelta,  //
                         AdaGrad,        //
                         RMSProp,        //
                         AdaDelta,       //
                         Adam,           //
                         AdamW,          //
                         NAdam,          //
                         RAdam,          //
                         Adamax,         //
                         Rprop,          //
                         ASGD>;

}  // namespace schuss
