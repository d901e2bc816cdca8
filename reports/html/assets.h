// SPDX-License-Identifier: Apache-2.0
// The page's own style sheet and script. Both are named by hash in the page's content security
// policy, so that nothing else could run even if an escape were missed.
#pragma once

#include <string>

namespace moescope {

std::string pageStyle();
std::string pageScript();

/// "'sha256-...'" of inline content, as a content security policy wants it.
std::string policyHash(const std::string& content);

}  // namespace moescope
